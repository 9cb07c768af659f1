"""Reserving a call: once, ever; its approvals are spent with it; the workspace moves by compare-and-swap."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from support.events import SampleRun

from interlock.audit import Ledger, Reservation, ReserveOutcome, SqlBlobs
from interlock.digest import digest_bytes
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


def test_result_needs_a_reservation(ledger: Ledger, wish: Reservation) -> None:
    with pytest.raises(Conflict, match="never reserved"):
        ledger.complete(wish.call_id, 1, b"result", "receipt")
    with pytest.raises(Conflict, match="never reserved"):
        ledger.retake(wish.call_id, "executor-2", 1)


@pytest.mark.parametrize(
    "changed",
    [{"result": b"other"}, {"receipt": "other"}, {"workspace_before": OTHER}, {"workspace_after": OTHER}],
    ids=lambda changed: next(iter(changed)),
)
def test_altered_repeat_of_a_result_alarms(ledger: Ledger, wish: Reservation, changed: dict[str, Any]) -> None:
    ledger.reserve(wish)
    before = ledger.workspace(wish.run)
    finish = {"result": b"result", "receipt": "receipt", "workspace_before": before, "workspace_after": before}
    ledger.complete(wish.call_id, 1, **finish)
    with pytest.raises(IntegrityError, match="first one stands"):
        ledger.complete(wish.call_id, 1, **{**finish, **changed})
    assert ledger.calls(wish.run)[0].result == b"result"
    assert [alarm.kind for alarm in ledger.alarms()] == ["result.altered"]


def test_oversized_result_is_refused(ledger: Ledger, wish: Reservation) -> None:
    ledger.reserve(wish)
    with pytest.raises(InvalidInput, match="store it as a blob"):
        ledger.complete(wish.call_id, 1, b"x" * (4 * 1024 * 1024 + 1), "receipt")


def test_reading_call_leaves_the_workspace(ledger: Ledger, wish: Reservation) -> None:
    before = ledger.workspace(wish.run)
    other = replace(wish, call_id=f"{wish.run}:c8", approvals=())
    ledger.reserve(wish)
    ledger.reserve(other)
    ledger.complete(wish.call_id, 1, b"result", "receipt", before, OTHER)
    ledger.complete(other.call_id, 1, b"result", "receipt", before, before)
    assert ledger.workspace(wish.run) == OTHER


def test_racing_results_move_the_workspace_once(ledger: Ledger, wish: Reservation) -> None:
    before = ledger.workspace(wish.run)
    calls = [replace(wish, call_id=f"{wish.run}:c{number}", approvals=()) for number in range(10, 16)]
    targets = [digest_bytes(call.call_id.encode()) for call in calls]
    for call in calls:
        ledger.reserve(call)

    def finish(number: int) -> bool:
        try:
            ledger.complete(calls[number].call_id, 1, b"result", "receipt", before, targets[number])
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        moved = list(pool.map(finish, range(6)))
    assert sum(moved) == 1
    assert ledger.workspace(wish.run) == targets[moved.index(True)]


def test_calls_tell_what_was_reserved(ledger: Ledger, blobs: SqlBlobs) -> None:
    sample = SampleRun(blobs, "whole-1")
    sample.store(ledger)
    first, third = ledger.calls(sample.run)
    receipt = blobs.put(b"receipt-of-c1")
    assert (first.result, first.receipt, first.workspace_after) == (b"result", receipt, sample.after)
    assert first.approvals == ("whole-1-jti-of-bob",)
    assert (third.result, third.finished_at, third.verdict) == (None, None, "allow")


def test_repeated_alarm_is_kept_once(ledger: Ledger) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ledger.alarm("run-1", "receipt.forged", "text \x00 and more"), range(4)))
    ledger.alarm("run-2", "receipt.forged", "x" * 10_000)
    assert [alarm.run for alarm in ledger.alarms()] == ["run-1", "run-2"]
    assert len(ledger.alarms("run-2")[0].detail) == 2_000
