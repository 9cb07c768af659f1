"""Two executors, each a process of its own on one ledger, want the same approval: one gets it, with an alarm."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from support.events import SampleRun

from interlock.audit import Ledger, Reservation, SqlBlobs
from interlock.errors import Conflict
from interlock.types.egress import EgressRecord

EXECUTOR = """
import json, sys
from interlock.audit import Ledger, Reservation
from interlock.errors import Conflict

ledger = Ledger(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    what, fields = json.loads(line)
    try:
        if what == "reserve":
            told = ledger.reserve(Reservation(**fields)).state
        else:
            told = str(ledger.retake(*fields))
    except Conflict as error:
        told = f"refused: {error}"
    print(told, flush=True)
"""
ROUNDS = range(6)


@contextmanager
def executor(url: str) -> Iterator[subprocess.Popen[str]]:
    """A process that does what it is told, line by line."""
    command = [sys.executable, "-c", EXECUTOR, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def two(database: Any, ledger: Ledger) -> Iterator[list[subprocess.Popen[str]]]:
    with ExitStack() as stack:
        yield [stack.enter_context(executor(database.ledger_url)) for _ in range(2)]


@pytest.fixture
def wish(ledger: Ledger, blobs: SqlBlobs) -> Reservation:
    sample = SampleRun(blobs)
    ledger.append(sample.run, sample.events[: next(e.seq for e in sample.events if e.kind == "call.finished")])
    return sample.reservation("c1")


def at_once(two: list[subprocess.Popen[str]], *lines: Any) -> list[str]:
    """Tell each its line, then hear both."""
    for process, line in zip(two, lines, strict=True):
        assert process.stdin is not None
        process.stdin.write(json.dumps(line) + "\n")
        process.stdin.flush()
    return [process.stdout.readline().strip() for process in two if process.stdout is not None]


def call(wish: Reservation, number: int, **given: Any) -> Reservation:
    return replace(wish, call_id=f"{wish.run}:c{number}", call_digest=f"sha256:{number:064x}", **given)


def test_approval_lets_one_of_two_calls_run(ledger: Ledger, two: Any, wish: Reservation) -> None:
    for number in ROUNDS:
        wishes = [call(wish, 100 + 2 * number + one, approvals=(f"jti-{number}",)) for one in range(2)]
        told = at_once(two, *(["reserve", asdict(one)] for one in wishes))
        (lost,) = [at for at, text in enumerate(told) if text != "reserved"]
        assert told[1 - lost] == "reserved"
        assert f"was consumed by call {wishes[1 - lost].call_id!r}" in told[lost]
        rows = {row.call_id: row.approvals for row in ledger.calls(wish.run)}
        assert rows.get(wishes[1 - lost].call_id) == (f"jti-{number}",)
        assert wishes[lost].call_id not in rows
    assert [alarm.kind for alarm in ledger.alarms(wish.run)] == ["approval.reused"] * len(ROUNDS)


def test_call_is_begun_by_one_of_two_executors(ledger: Ledger, two: Any, wish: Reservation) -> None:
    for number in ROUNDS:
        same = asdict(call(wish, 200 + number, approvals=(f"jti-{number}",)))
        told = at_once(two, *(["reserve", {**same, "executor": name}] for name in ("one", "two")))
        assert sorted(told) == ["in_doubt", "reserved"]
    assert ledger.alarms(wish.run) == []
    assert [row.attempt for row in ledger.calls(wish.run)] == [1] * len(ROUNDS)


def test_settlement_lets_one_of_two_calls_run(ledger: Ledger, two: Any, wish: Reservation) -> None:
    for number in ROUNDS:
        pair = [call(wish, 300 + 2 * number + one) for one in range(2)]
        for one in pair:
            ledger.reserve(one)
        told = at_once(two, *(["retake", [one.call_id, "executor", 1, [f"settled-{number}"]]] for one in pair))
        assert sorted(text.partition(":")[0] for text in told) == ["2", "refused"]
    assert {alarm.kind for alarm in ledger.alarms(wish.run)} == {"approval.reused"}
    assert sorted(row.attempt for row in ledger.calls(wish.run)) == [1] * len(ROUNDS) + [2] * len(ROUNDS)


def test_call_in_doubt_is_taken_by_one_of_two(ledger: Ledger, two: Any, wish: Reservation) -> None:
    for number in ROUNDS:
        one = call(wish, 400 + number)
        ledger.reserve(one)
        told = at_once(two, *(["retake", [one.call_id, name, 1, []]] for name in ("one", "two")))
        assert sorted(text.partition(":")[0] for text in told) == ["2", "refused"]


def request(attempt: int, number: int = 1) -> EgressRecord:
    return EgressRecord(
        attempt=attempt,
        number=number,
        verdict="sent",
        scheme="https",
        host="bank.test",
        port=443,
        method="POST",
        path="/payments",
        at=datetime.now(UTC),
    )


def test_request_of_a_superseded_attempt_stays(ledger: Ledger, wish: Reservation) -> None:
    """An executor that was taken for dead, and lives on another host, sends nothing any more."""
    ledger.reserve(wish)
    ledger.leaving(wish.call_id, request(1))
    ledger.retake(wish.call_id, "executor-2", 1)
    with pytest.raises(Conflict, match="a request of attempt 1 stays"):
        ledger.leaving(wish.call_id, request(1, number=2))
    ledger.leaving(wish.call_id, request(2))
    assert [(one.attempt, one.number) for one in ledger.left(wish.call_id)] == [(1, 1), (2, 1)]
