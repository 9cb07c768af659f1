"""Appending: the chain is checked, repeats are harmless, and what is stored stays."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pg8000
import pytest
from support.events import ChainBuilder, SampleRun, resealed

from interlock.audit import Head, Ledger, SqlBlobs
from interlock.errors import Conflict, IntegrityError, InvalidInput
from interlock.events import GENESIS, AgentStarted, ApprovalRequested, Event, RunEnded

DIGEST = "sha256:" + "a" * 64


def chain(run: str = "run-1", length: int = 5) -> list[Event]:
    builder = ChainBuilder(run)
    builder.start()
    for _ in range(length - 1):
        builder.add(AgentStarted, agent="agent:fixer", task=DIGEST, model="scripted")
    return builder.events


def test_append_returns_the_new_head(ledger: Ledger) -> None:
    events = chain()
    assert ledger.append("run-1", events) == Head(5, events[-1].hash)
    assert ledger.head("run-1") == Head(5, events[-1].hash)
    assert ledger.head("unknown") == Head(0, GENESIS)


def test_events_come_back_unchanged(ledger: Ledger, blobs: SqlBlobs) -> None:
    sample = SampleRun(blobs)
    sample.store(ledger)
    assert ledger.events(sample.run) == sample.events
    assert ledger.events(sample.run, after=4) == sample.events[5:]
    assert len(ledger.raw_events(sample.run)) == len(sample.events)


def test_repeated_append_changes_nothing(ledger: Ledger) -> None:
    events = chain()
    ledger.append("run-1", events[:3])
    ledger.append("run-1", events[1:])
    ledger.append("run-1", events)
    assert ledger.events("run-1") == events
    assert ledger.run("run-1").count == 5
    assert ledger.alarms() == []


def test_empty_append_is_harmless(ledger: Ledger) -> None:
    assert ledger.append("run-1", []) == Head(0, GENESIS)


def test_altered_repeat_is_refused_and_alarms(ledger: Ledger) -> None:
    events = chain()
    ledger.append("run-1", events)
    forged = resealed(events, 2, lambda event: event.model_copy(update={"model": "other"}))
    with pytest.raises(IntegrityError, match="event 2"):
        ledger.append("run-1", forged)
    assert ledger.events("run-1") == events
    (alarm,) = ledger.alarms("run-1")
    assert alarm.kind == "event.altered"
    assert "event 2" in alarm.detail


def test_altered_repeat_stores_nothing_behind_it(ledger: Ledger) -> None:
    events = chain(length=6)
    ledger.append("run-1", events[:4])
    forged = resealed(events, 3, lambda event: event.model_copy(update={"model": "other"}))
    with pytest.raises(IntegrityError):
        ledger.append("run-1", forged)
    assert ledger.head("run-1").count == 4


def test_gap_is_refused(ledger: Ledger) -> None:
    events = chain()
    ledger.append("run-1", events[:2])
    with pytest.raises(IntegrityError, match="events 2 to 2 are missing"):
        ledger.append("run-1", events[3:])
    assert ledger.head("run-1").count == 2


def test_forked_chain_is_refused_and_alarms(ledger: Ledger) -> None:
    events = chain()
    ledger.append("run-1", events[:3])
    forged = resealed(events, 2, lambda event: event.model_copy(update={"model": "other"}))
    with pytest.raises(IntegrityError, match="does not follow"):
        ledger.append("run-1", forged[3:])
    assert [alarm.kind for alarm in ledger.alarms()] == ["event.forged"]


def test_wrong_hash_is_refused(ledger: Ledger) -> None:
    events = chain()
    lie = events[2].model_copy(update={"model": "other"})
    with pytest.raises(IntegrityError, match="hash differs"):
        ledger.append("run-1", [*events[:2], lie])
    assert ledger.head("run-1").count == 0


def test_event_of_another_run_is_refused(ledger: Ledger) -> None:
    with pytest.raises(IntegrityError, match="names run 'run-2'"):
        ledger.append("run-1", chain("run-2"))


def test_append_after_the_end_is_refused(ledger: Ledger, blobs: SqlBlobs) -> None:
    sample = SampleRun(blobs)
    sample.store(ledger)
    sample.chain.add(AgentStarted, agent="agent:fixer", task=DIGEST, model="scripted")
    with pytest.raises(Conflict, match="ended"):
        ledger.append(sample.run, sample.events[-1:])
    assert ledger.append(sample.run, sample.events[:-1]).count == len(sample.events) - 1


def test_run_must_begin_with_run_started(ledger: Ledger) -> None:
    builder = ChainBuilder("run-1")
    builder.add(AgentStarted, agent="agent:fixer", task=DIGEST, model="scripted")
    with pytest.raises(IntegrityError, match=r"run\.started"):
        ledger.append("run-1", builder.events)


def test_wrong_count_at_the_end_is_refused(ledger: Ledger) -> None:
    builder = ChainBuilder("run-1")
    builder.start()
    builder.add(RunEnded, status="completed", result="", workspace="", count=3)
    with pytest.raises(IntegrityError, match="count"):
        ledger.append("run-1", builder.events)


def test_request_of_another_run_is_refused(ledger: Ledger, blobs: SqlBlobs) -> None:
    sample = SampleRun(blobs)
    sample.store(ledger)
    theirs = sample.of_kind("approval.requested").model_dump(
        exclude={"v", "run", "seq", "time", "prev", "hash", "kind"}
    )
    builder = ChainBuilder("hostile")
    builder.start()
    builder.add(ApprovalRequested, **theirs)
    with pytest.raises(IntegrityError, match="belongs to another run"):
        ledger.append("hostile", builder.events)
    assert ledger.approval(f"{sample.run}:a1").run == sample.run


def test_four_threads_append_one_run(ledger: Ledger) -> None:
    events = chain(length=40)

    def writer(_: int) -> None:
        for end in range(1, len(events) + 1):
            ledger.append("run-1", events[:end])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(writer, range(4)))
    assert ledger.events("run-1") == events
    assert ledger.alarms() == []


def test_two_forks_race_and_one_wins(ledger: Ledger) -> None:
    events = chain(length=6)
    ledger.append("run-1", events[:3])
    forks = [
        resealed(events, 3, lambda event, name=name: event.model_copy(update={"model": name}))[3:]
        for name in ("one", "two", "three", "four")
    ]

    def attempt(fork: list[Event]) -> bool:
        try:
            ledger.append("run-1", fork)
        except IntegrityError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(attempt, forks)) == 1
    assert ledger.events("run-1")[3:] in forks


def test_nul_in_text_is_stored(ledger: Ledger) -> None:
    builder = ChainBuilder("run-1")
    builder.start()
    builder.add(RunEnded, status="failed", result="", workspace="", detail="a\x00b", count=2)
    ledger.append("run-1", builder.events)
    assert ledger.events("run-1")[-1].detail == "a\x00b"  # type: ignore[union-attr]
    assert ledger.run("run-1").detail == "a\N{SYMBOL FOR NULL}b"


APPEND_ONLY = [
    "events",
    "calls",
    "attempts",
    "results",
    "consumed_approvals",
    "workspaces",
    "remembered",
    "alarms",
    "checkpoints",
]


@pytest.fixture
def filled(ledger: Ledger, blobs: SqlBlobs, signer: Any) -> Ledger:
    sample = SampleRun(blobs)
    sample.store(ledger)
    ledger.checkpoint(sample.run, signer)
    ledger.remember_bundle(DIGEST)
    ledger.alarm(sample.run, "log.lost", "for the test")
    return ledger


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_database_refuses_update_and_delete(database: Any, filled: Ledger, table: str) -> None:
    before = database.execute(f"SELECT * FROM {table}")
    assert before
    column = database.execute(f"SELECT * FROM {table} LIMIT 1") and _column(database, table)
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
        with pytest.raises((sqlite3.IntegrityError, pg8000.DatabaseError), match=f"{table} is append-only"):
            database.execute(statement)
    assert database.execute(f"SELECT * FROM {table}") == before


def _column(database: Any, table: str) -> str:
    return {"remembered": "digest", "alarms": "kind", "consumed_approvals": "jti", "results": "receipt"}.get(
        table, "call_id" if table in ("calls", "attempts") else "run"
    )


def test_database_refuses_replace_and_truncate(database: Any, filled: Ledger) -> None:
    replace = (
        "INSERT OR REPLACE INTO events (run, seq, kind, hash, body) SELECT run, seq, kind, hash, 'x' FROM events"
    )
    statement = replace if database.kind == "sqlite" else "TRUNCATE events"
    with pytest.raises((sqlite3.IntegrityError, pg8000.DatabaseError), match="events is append-only"):
        database.execute(statement)


def test_unknown_run_names_similar_ones(ledger: Ledger) -> None:
    ledger.append("fix-issue-4711", chain("fix-issue-4711"))
    with pytest.raises(InvalidInput, match="did you mean 'fix-issue-4711'"):
        ledger.run("fix-issue-47")
    with pytest.raises(InvalidInput, match="did you mean 'fix-issue-4711'"):
        ledger.run("fix-isue-4711")
    with pytest.raises(InvalidInput, match="there is no run '%'"):
        ledger.run("%")
