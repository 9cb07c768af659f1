"""Reading a whole record at once: every decision of every run, and many blobs in few queries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.events import START, ChainBuilder, SampleRun

from interlock.audit import Ledger, SqlBlobs
from interlock.audit import ledger as ledger_module
from interlock.errors import IntegrityError
from interlock.events import CallDecided

DIGEST = "sha256:" + "a" * 64


def record(ledger: Ledger, run: str, calls: int) -> None:
    builder = ChainBuilder(run)
    builder.start()
    for number in range(calls):
        decided = {"call_digest": DIGEST, "verdict": "allow", "rule": "r", "request": DIGEST, "bundle": DIGEST}
        builder.add(CallDecided, call_id=f"{run}:c{number}", **decided)
    ledger.append(run, builder.events)


def test_every_decision_is_read_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "_PAGE", 3)
    record(ledger, "run-b", 3)
    record(ledger, "run-a", 4)
    read = [(event.run, event.seq) for event in ledger.decided()]
    assert read == [("run-a", n) for n in range(1, 5)] + [("run-b", n) for n in range(1, 4)]


def test_decisions_of_one_run(ledger: Ledger) -> None:
    record(ledger, "run-a", 2)
    record(ledger, "run-b", 2)
    assert {event.run for event in ledger.decided(runs=["run-b"])} == {"run-b"}
    assert list(ledger.decided(runs=[])) == []


def test_decisions_since_a_moment(ledger: Ledger) -> None:
    record(ledger, "run-a", 4)
    assert [event.seq for event in ledger.decided(since=START + timedelta(seconds=3))] == [3, 4]
    assert list(ledger.decided(since=START + timedelta(days=1))) == []


def test_altered_decision_is_named(database: Any, ledger: Ledger) -> None:
    record(ledger, "run-a", 1)
    database.attack("UPDATE events SET body = ? WHERE kind = 'call.decided'", b"{}")
    with pytest.raises(IntegrityError, match="event 1 of run 'run-a' was altered"):
        list(ledger.decided())


def test_many_blobs_come_at_once(blobs: SqlBlobs) -> None:
    kept = {blobs.put(f"blob {number}".encode()): f"blob {number}".encode() for number in range(1_203)}
    assert blobs.get_many(kept) == kept
    assert blobs.get_many([]) == {}


def test_absent_and_altered_blobs_are_left_out(database: Any, blobs: SqlBlobs) -> None:
    good, bad = blobs.put(b"good"), blobs.put(b"bad")
    database.attack("UPDATE blobs SET data = ? WHERE digest = ?", b"other", bad, blobs=True)
    assert blobs.get_many([good, bad, DIGEST, "nonsense"]) == {good: b"good"}


def test_decisions_of_a_whole_run_are_there(ledger: Ledger, blobs: SqlBlobs) -> None:
    sample = SampleRun(blobs)
    sample.store(ledger)
    assert list(ledger.decided()) == [e for e in sample.events if isinstance(e, CallDecided)]
