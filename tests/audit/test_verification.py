"""`verify_run`: one altered byte in any field of any kind of event is found, and so are cuts and swaps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from support.events import SampleRun

from interlock.audit import Finding, Ledger, SqlBlobs, verify_run
from interlock.digest import digest_bytes
from interlock.events import EventBase, RunErased
from interlock.signing import Signer, Verifier

FIELDS = [
    (cls.model_fields["kind"].default, field)
    for cls in EventBase.__subclasses__()
    if cls is not RunErased  # a run whose content can be read has none
    for field in cls.model_fields
    if field not in ("kind", "v")
]


class Record:
    """A whole run in a database, and an attacker's hand in it."""

    def __init__(self, database: Any, signer: Signer, verifier: Verifier) -> None:
        self.database, self.verifier = database, verifier
        self.ledger, self.blobs = Ledger(database.ledger_url), SqlBlobs(database.blobs_url)
        self.sample = SampleRun(self.blobs)
        self.sample.store(self.ledger)
        self.ledger.checkpoint(self.sample.run, signer)

    def verify(self) -> list[Finding]:
        fresh = SqlBlobs(self.database.blobs_url)
        try:
            return verify_run(self.ledger, self.sample.run, fresh, self.verifier)
        finally:
            fresh.close()

    def body(self, seq: int) -> bytes:
        (row,) = self.database.execute("SELECT body FROM events WHERE seq = ?", seq)
        return bytes(row[0])

    def write(self, seq: int, body: bytes) -> None:
        self.database.attack("UPDATE events SET body = ? WHERE seq = ?", body, seq)


@pytest.fixture(scope="module")
def record(shared_database: Any, signer: Signer, verifier: Verifier) -> Iterator[Record]:
    made = Record(shared_database, signer, verifier)
    yield made
    made.ledger.close()
    made.blobs.close()


def changed(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, list):
        return [changed(value[0]), *value[1:]] if value else ["x"]
    if isinstance(value, dict):
        return {**value, "x": "y"}
    return value[:-1] + ("a" if value[-1:] != "a" else "b")


def test_whole_record_verifies(record: Record) -> None:
    assert record.verify() == []


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=lambda part: str(part))
def test_altered_field_is_found(record: Record, kind: str, field: str) -> None:
    event = record.sample.of_kind(kind)
    before = record.body(event.seq)
    value = orjson.loads(before)
    value[field] = changed(value.get(field, event.model_dump(mode="json")[field]))
    record.write(event.seq, orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
    try:
        findings = record.verify()
    finally:
        record.write(event.seq, before)
    assert findings
    assert findings[0].seq == event.seq


def test_dropped_tail_is_found(record: Record) -> None:
    last = record.sample.events[-1].seq
    (row,) = record.database.execute("SELECT run, seq, kind, hash, body FROM events WHERE seq = ?", last)
    record.database.attack("DELETE FROM events WHERE seq = ?", last)
    try:
        findings = record.verify()
    finally:
        record.database.attack("INSERT INTO events (run, seq, kind, hash, body) VALUES (?, ?, ?, ?, ?)", *row)
    assert findings
    assert record.verify() == []


def test_swapped_events_are_found(record: Record) -> None:
    first, second = record.body(2), record.body(3)
    record.write(2, second)
    record.write(3, first)
    try:
        findings = record.verify()
    finally:
        record.write(2, first)
        record.write(3, second)
    assert findings[0].seq == 2


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("runs", "status", "failed"),
        ("runs", "requester", "user:mallory"),
        ("runs", "workspace", ""),
        ("approvals", "decided_by", "user:mallory"),
        ("approvals", "state", "pending"),
        ("approvals", "call_digest", digest_bytes(b"other")),
    ],
)
def test_altered_read_model_is_found(record: Record, table: str, column: str, value: str) -> None:
    key = "run" if table == "runs" else "request_id"
    rows = record.database.execute(f"SELECT {key}, {column} FROM {table}")
    record.database.attack(f"UPDATE {table} SET {column} = ?", value)
    try:
        findings = record.verify()
    finally:
        for name, before in rows:
            record.database.attack(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", before, name)
    assert findings
    assert record.verify() == []


def test_absent_and_altered_blobs_are_told_apart(record: Record) -> None:
    event = record.sample.of_kind("call.finished")
    output = event.output  # type: ignore[union-attr]
    (row,) = record.database.execute("SELECT data FROM blobs WHERE digest = ?", output, blobs=True)
    record.database.attack("UPDATE blobs SET data = ? WHERE digest = ?", b"forged", output, blobs=True)
    altered = record.verify()
    record.database.attack("DELETE FROM blobs WHERE digest = ?", output, blobs=True)
    absent = record.verify()
    record.blobs.put(bytes(row[0]))
    assert any("altered" in finding.message and finding.seq == event.seq for finding in altered)
    assert any("absent" in finding.message and finding.seq == event.seq for finding in absent)


def test_foreign_checkpoint_is_found(record: Record, tmp_path: Any) -> None:
    from interlock.signing import create_keys, load_verifier

    create_keys(tmp_path)
    findings = verify_run(record.ledger, record.sample.run, record.blobs, load_verifier(tmp_path, "ledger"))
    assert [finding.kind for finding in findings] == ["checkpoint"]
