"""Reserving a call: once, ever; its approvals are spent with it; the workspace moves by compare-and-swap."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from support.events import SampleRun

from interlock.audit import Ledger, Reservation, ReserveOutcome, SqlBlobs
from interlock.errors import Conflict, IntegrityError, InvalidInput

OTHER = "sha256:" + "b" * 64


@pytest.fixture
def wish(ledger: Ledger, blobs: SqlBlobs) -> Reservation:
    """A run that waits for its first call to be executed, and that call."""
    sample = SampleRun(blobs)
    decided = next(event.seq for event in sample.events if event.kind == "call.finished")
    ledger.append(sample.run, sample.events[:decided])
    return sample.reservation("c1", approvals=("jti-1",))


def test_reserved_call_is_new_once(ledger: Ledger, wish: Reservation) -> None:
    first, second = ledger.reserve(wish), ledger.reserve(replace(wish, executor="executor-2"))
    assert (first.state, first.attempt) == ("reserved", 1)
    assert (second.state, second.attempt, second.executor) == ("in_doubt", 1, "executor-1")


def test_one_of_eight_executors_reserves(ledger: Ledger, wish: Reservation) -> None:
    def reserve(number: int) -> ReserveOutcome:
        return ledger.reserve(replace(wish, executor=f"executor-{number}"))

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(reserve, range(8)))
    assert sorted(outcome.state for outcome in outcomes) == ["in_doubt"] * 7 + ["reserved"]
    winner = next(outcome for outcome in outcomes if outcome.state == "reserved")
    assert {outcome.executor for outcome in outcomes} == {winner.executor}


def test_finished_call_gives_its_result(ledger: Ledger, wish: Reservation) -> None:
    attempt = ledger.reserve(wish).attempt
    before = ledger.workspace(wish.run)
    ledger.complete(wish.call_id, attempt, b"result", "receipt", before, before)
    again = ledger.reserve(wish)
    assert (again.state, again.result, again.receipt) == ("finished", b"result", "receipt")
    assert ledger.finished(wish.call_id, wish.call_digest) == b"result"
    assert ledger.finished(wish.call_id, OTHER) is None
    assert ledger.finished(f"{wish.run}:c99", wish.call_digest) is None


def test_repeated_completion_is_harmless_and_another_alarms(ledger: Ledger, wish: Reservation) -> None:
    attempt = ledger.reserve(wish).attempt
    before = ledger.workspace(wish.run)
    ledger.complete(wish.call_id, attempt, b"result", "receipt", before, before)
    ledger.complete(wish.call_id, attempt, b"result", "receipt", before, before)
    assert ledger.alarms() == []
    with pytest.raises(IntegrityError):
        ledger.complete(wish.call_id, attempt, b"another", "receipt", before, before)
    assert len(ledger.alarms(wish.run)) == 1


def test_call_id_with_another_digest_alarms(ledger: Ledger, wish: Reservation) -> None:
    ledger.reserve(wish)
    with pytest.raises(IntegrityError):
        ledger.reserve(replace(wish, call_digest=OTHER))
    assert [alarm.kind for alarm in ledger.alarms(wish.run)] == ["call.altered"]


def test_approval_is_consumed_once(ledger: Ledger, wish: Reservation) -> None:
    ledger.reserve(wish)
    with pytest.raises(Conflict):
        ledger.reserve(replace(wish, call_id=f"{wish.run}:c9", call_digest=OTHER))
    assert [alarm.kind for alarm in ledger.alarms(wish.run)] == ["approval.reused"]
    assert [row.call_id for row in ledger.calls(wish.run)] == [wish.call_id]


def test_two_calls_race_for_one_approval(ledger: Ledger, wish: Reservation) -> None:
    def reserve(number: int) -> str:
        try:
            own = replace(wish, call_id=f"{wish.run}:c{number}", call_digest=f"sha256:{number:064x}")
            return ledger.reserve(own).state
        except Conflict:
            return "refused"

    with ThreadPoolExecutor(6) as pool:
        states = sorted(pool.map(reserve, range(10, 16)))
    assert states == ["refused"] * 5 + ["reserved"]


def test_one_of_eight_takers_retakes(ledger: Ledger, wish: Reservation) -> None:
    ledger.reserve(wish)

    def retake(number: int) -> int:
        try:
            return ledger.retake(wish.call_id, f"executor-{number}", 1)
        except Conflict:
            return 0

    with ThreadPoolExecutor(8) as pool:
        attempts = sorted(pool.map(retake, range(8)))
    assert attempts == [0] * 7 + [2]


def test_superseded_attempt_cannot_complete(ledger: Ledger, wish: Reservation) -> None:
    ledger.reserve(wish)
    ledger.retake(wish.call_id, "executor-2", 1)
    with pytest.raises(Conflict):
        ledger.complete(wish.call_id, 1, b"late", "receipt")
    ledger.complete(wish.call_id, 2, b"result", "receipt")
    assert ledger.finished(wish.call_id, wish.call_digest) == b"result"


def test_retaking_a_finished_call_is_refused(ledger: Ledger, wish: Reservation) -> None:
    ledger.reserve(wish)
    ledger.complete(wish.call_id, 1, b"result", "receipt")
    with pytest.raises(Conflict, match="finished"):
        ledger.retake(wish.call_id, "executor-2", 1)


def test_retaking_consumes_its_approvals_once(ledger: Ledger, wish: Reservation) -> None:
    ledger.reserve(wish)
    assert ledger.retake(wish.call_id, "executor-2", 1, ["settled-1"]) == 2
    with pytest.raises(Conflict):
        ledger.retake(wish.call_id, "executor-3", 2, ["settled-1"])


def test_workspace_moves_only_from_its_head(ledger: Ledger, wish: Reservation) -> None:
    attempt = ledger.reserve(wish).attempt
    before = ledger.workspace(wish.run)
    with pytest.raises(Conflict):
        ledger.complete(wish.call_id, attempt, b"result", "receipt", OTHER, "sha256:" + "c" * 64)
    assert ledger.workspace(wish.run) == before
    assert ledger.finished(wish.call_id, wish.call_digest) is None
    ledger.complete(wish.call_id, attempt, b"result", "receipt", before, OTHER)
    assert ledger.workspace(wish.run) == OTHER


def test_foreign_call_id_is_refused(ledger: Ledger, wish: Reservation) -> None:
    with pytest.raises(InvalidInput):
        ledger.reserve(replace(wish, call_id="other-run:c1"))


def test_ended_run_reserves_nothing(ledger: Ledger, blobs: SqlBlobs) -> None:
    sample = SampleRun(blobs)
    sample.store(ledger)
    with pytest.raises(Conflict, match="ended"):
        ledger.reserve(replace(sample.reservation("c1"), call_id=f"{sample.run}:c50", call_digest=OTHER))
