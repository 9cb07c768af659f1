"""The stores: reachable or a clear refusal, migrated once, read-only where asked, whole after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.events import SampleRun

from interlock.audit import Ledger, SqlBlobs
from interlock.digest import digest_bytes
from interlock.errors import IntegrityError, InvalidInput, LedgerUnavailable, Refused

WRITER = """
import sys
from support.events import ChainBuilder
from interlock.audit import Ledger
from interlock.events import AgentStarted
ledger, builder = Ledger(sys.argv[1]), ChainBuilder("run-1")
builder.start()
ledger.append("run-1", builder.events)
print("ready", flush=True)
while True:
    builder.add(AgentStarted, agent="agent:fixer", task="sha256:" + "a" * 64, model="scripted")
    ledger.append("run-1", builder.events[-1:])
"""


def test_two_openers_migrate_once(empty_database: Any) -> None:
    with ThreadPoolExecutor(4) as pool:
        ledgers = list(pool.map(lambda _: Ledger(empty_database.ledger_url), range(4)))
    for ledger in ledgers:
        assert ledger.runs() == []
        ledger.close()


def test_reopened_ledger_keeps_everything(database: Any, blobs: SqlBlobs) -> None:
    first = Ledger(database.ledger_url)
    sample = SampleRun(blobs)
    sample.store(first)
    first.close()
    second = Ledger(database.ledger_url)
    assert second.events(sample.run) == sample.events
    second.close()


def test_read_only_ledger_writes_nothing(database: Any, ledger: Ledger, blobs: SqlBlobs) -> None:
    reader = Ledger(database.ledger_url, read_only=True)
    sample = SampleRun(blobs)
    with pytest.raises(Refused, match="reading only"):
        reader.append(sample.run, sample.events[:1])
    assert reader.events(sample.run) == []
    reader.close()


def test_killed_writer_leaves_a_whole_chain(database: Any) -> None:
    """Killed at once, whatever it was doing; the chain that it leaves can be read and continued."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, database.ledger_url], stdout=subprocess.PIPE, env=environment
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"ready\n"
    while True:
        ledger = Ledger(database.ledger_url)
        if ledger.head("run-1").count > 20:
            break
        ledger.close()
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    events = ledger.events("run-1")
    assert [event.seq for event in events] == list(range(len(events)))
    assert ledger.head("run-1").hash == events[-1].hash
    assert ledger.run("run-1").count == len(events)
    ledger.close()


def test_unreachable_database_hides_its_password() -> None:
    with pytest.raises(LedgerUnavailable) as refused:
        Ledger("postgresql://someone:hunter2@127.0.0.1:1/nowhere")
    assert "hunter2" not in str(refused.value)
    assert refused.value.next_step


def test_unwritable_folder_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable) as refused:
        Ledger(f"sqlite:////proc/{tmp_path.name}/ledger.db")
    assert refused.value.next_step


def test_unknown_url_is_refused() -> None:
    with pytest.raises(InvalidInput):
        Ledger("mysql://127.0.0.1/x")


def test_blob_is_kept_once_and_checked(database: Any, blobs: SqlBlobs) -> None:
    digest = blobs.put(b"content")
    assert blobs.put(b"content") == digest == digest_bytes(b"content")
    assert (blobs.get(digest), blobs.has(digest), blobs.has(digest_bytes(b"other"))) == (b"content", True, False)
    assert database.execute("SELECT COUNT(*) FROM blobs", blobs=True) == [(1,)]
    with pytest.raises(IntegrityError, match="absent"):
        blobs.get(digest_bytes(b"other"))


def test_altered_blob_is_refused(database: Any, blobs: SqlBlobs) -> None:
    digest = blobs.put(b"content")
    database.attack("UPDATE blobs SET data = ? WHERE digest = ?", b"forged!", digest, blobs=True)
    fresh = SqlBlobs(database.blobs_url)
    with pytest.raises(IntegrityError, match="altered"):
        fresh.get(digest)
    fresh.close()


def test_large_blob_is_refused(blobs: SqlBlobs) -> None:
    with pytest.raises(InvalidInput):
        blobs.put(b"x" * (64 * 1024 * 1024 + 1))


def test_runs_are_listed_in_pages(ledger: Ledger, blobs: SqlBlobs) -> None:
    for number in range(5):
        SampleRun(blobs, f"run-{number}").store(ledger)
    first = ledger.runs(limit=2)
    second = ledger.runs(limit=2, before=first[-1].cursor)
    third = ledger.runs(limit=2, before=second[-1].cursor)
    assert {row.run for row in (*first, *second, *third)} == {f"run-{number}" for number in range(5)}
    assert ledger.runs(status="running") == []
    assert ledger.runs(tenant="other") == []


def test_bundles_are_known_only_when_remembered(ledger: Ledger) -> None:
    digest = digest_bytes(b"bundle")
    assert not ledger.knows_bundle(digest)
    ledger.remember_bundle(digest)
    ledger.remember_bundle(digest)
    assert ledger.knows_bundle(digest)
