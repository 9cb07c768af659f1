"""Verification across tables: events, blobs, reservations and workspaces must tell one story."""

from __future__ import annotations

from typing import Any

import pytest
from support.events import ChainBuilder, SampleRun, resealed

from interlock.audit import Finding, Ledger, SqlBlobs, verify_run
from interlock.digest import digest_bytes
from interlock.events import CallFinished

OTHER = "sha256:" + "b" * 64


@pytest.fixture
def sample(ledger: Ledger, blobs: SqlBlobs) -> SampleRun:
    made = SampleRun(blobs)
    made.store(ledger)
    assert verify_run(ledger, made.run, blobs) == []
    return made


def named(findings: list[Finding]) -> set[tuple[int, str, str]]:
    return {(finding.seq, finding.kind, finding.field) for finding in findings}


@pytest.mark.parametrize(
    ("statement", "value", "kind", "field"),
    [
        ("UPDATE results SET receipt = ?", "forged", "call.finished", "receipt"),
        ("UPDATE results SET workspace_after = ?", OTHER, "call.finished", "workspace"),
        ("UPDATE calls SET call_digest = ?", OTHER, "call", "call_digest"),
        ("UPDATE workspaces SET digest = ? WHERE version = 1", OTHER, "workspace", "digest"),
        ("DELETE FROM workspaces WHERE version = 1 AND digest <> ?", "", "workspace", "version"),
        ("DELETE FROM results WHERE receipt <> ?", "", "call.finished", "receipt"),
        ("DELETE FROM approvals WHERE request_id = ?", "sample-1:a1", "approval", "approval"),
        ("DELETE FROM events WHERE run = ? AND seq = 4", "sample-1", "approval.requested", "seq"),
        ("UPDATE events SET kind = ? WHERE seq = 4", "run.paused", "run.paused", "kind"),
        ("UPDATE events SET hash = ? WHERE seq = 4", OTHER, "call.decided", "hash"),
        ("UPDATE approvals SET votes = ?", "[", "approval", "votes"),
        ("UPDATE grants SET token = ?", "wider", "grant.made", "grant"),
        ("DELETE FROM grant_uses WHERE grant_id = ?", "sample-1-grant", "grant.used", "number"),
        ("UPDATE grant_uses SET number = 2 WHERE grant_id = ?", "sample-1-grant", "grant.used", "number"),
    ],
)
def test_altered_row_is_named(
    database: Any,
    ledger: Ledger,
    blobs: SqlBlobs,
    sample: SampleRun,
    statement: str,
    value: str,
    kind: str,
    field: str,
) -> None:
    database.attack(statement, value)
    found = verify_run(ledger, sample.run, blobs)
    assert (kind, field) in {(finding.kind, finding.field) for finding in found}


def test_invented_approval_is_named(database: Any, ledger: Ledger, blobs: SqlBlobs, sample: SampleRun) -> None:
    columns = ", ".join(row[0] for row in _columns(database, "approvals"))
    copied = columns.replace("request_id", "'sample-1:a9'")
    database.attack(
        f"INSERT INTO approvals ({columns}) SELECT {copied} FROM approvals WHERE request_id = ?", "sample-1:a1"
    )
    (finding,) = verify_run(ledger, sample.run, blobs)
    assert "sample-1:a9: no event bears it out" in finding.message


def test_invented_grant_is_named(database: Any, ledger: Ledger, blobs: SqlBlobs, sample: SampleRun) -> None:
    columns = ", ".join(f'"{row[0]}"' for row in _columns(database, "grants"))
    copied = columns.replace('"grant_id"', "'mine'")
    database.attack(f"INSERT INTO grants ({columns}) SELECT {copied} FROM grants WHERE run = ?", sample.run)
    (finding,) = verify_run(ledger, sample.run, blobs)
    assert "no event of this run gives grant 'mine'" in finding.message


def _columns(database: Any, table: str) -> list[tuple[Any, ...]]:
    if database.kind == "sqlite":
        return database.execute("SELECT name FROM pragma_table_info(?)", table)  # type: ignore[no-any-return]
    return database.execute(  # type: ignore[no-any-return]
        "SELECT column_name FROM information_schema.columns WHERE table_name = ?", table
    )


def test_file_of_a_workspace_is_checked(database: Any, ledger: Ledger, blobs: SqlBlobs, sample: SampleRun) -> None:
    content = digest_bytes(b"value = 2\n")
    database.attack("DELETE FROM blobs WHERE digest = ?", content, blobs=True)
    findings = verify_run(ledger, sample.run, blobs)
    assert named(findings) >= {(sample.of_kind("call.finished").seq, "call.finished", "workspace")}
    assert all(f"file 'src/main.py': blob {content} is absent" in finding.message for finding in findings)


def test_every_artifact_is_checked(database: Any, ledger: Ledger, blobs: SqlBlobs, sample: SampleRun) -> None:
    database.attack("DELETE FROM blobs WHERE digest = ?", digest_bytes(b"a patch"), blobs=True)
    (finding,) = verify_run(ledger, sample.run, blobs)
    assert (finding.kind, finding.field) == ("call.finished", "artifacts.patch")


def test_memory_hides_no_altered_blob(database: Any, ledger: Ledger, blobs: SqlBlobs, sample: SampleRun) -> None:
    output = digest_bytes(b"output")
    assert blobs.get(output) == b"output"
    database.attack("UPDATE blobs SET data = ? WHERE digest = ?", b"forged", output, blobs=True)
    assert blobs.get(output) == b"output"
    (finding,) = verify_run(ledger, sample.run, blobs)
    assert (finding.field, "altered" in finding.message) == ("output", True)


def test_call_digest_is_derived_again(ledger: Ledger, blobs: SqlBlobs) -> None:
    """A chain that is whole, over a call whose digest was never that of its arguments."""
    sample = SampleRun(blobs, "hostile-1")
    place = sample.of_kind("call.proposed").seq
    arguments = blobs.put(b"other arguments")
    forged = resealed(sample.events, place, lambda e: e.model_copy(update={"arguments": arguments}))
    ledger.append(sample.run, forged)
    assert (place, "call.proposed", "call_digest") in named(verify_run(ledger, sample.run, blobs))


def test_effect_without_reservation_is_named(ledger: Ledger, blobs: SqlBlobs) -> None:
    sample = SampleRun(blobs, "hostile-1")
    ledger.append(sample.run, sample.events)
    findings = verify_run(ledger, sample.run, blobs)
    assert named(findings) == {
        (sample.of_kind("call.finished").seq, "call.finished", "call_id"),
        (sample.of_kind("grant.used").seq, "grant.used", "number"),
    }


def test_result_of_an_unproposed_call_is_named(ledger: Ledger, blobs: SqlBlobs) -> None:
    builder = ChainBuilder("hostile-1")
    builder.start(blobs)
    builder.add(
        CallFinished,
        call_id="hostile-1:c1",
        call_digest=OTHER,
        status="ok",
        output="",
        workspace="",
        receipt=blobs.put(b"receipt"),
    )
    ledger.append("hostile-1", builder.events)
    assert named(verify_run(ledger, "hostile-1", blobs)) == {(1, "call.finished", "call_id")}


def test_unknown_run_is_a_finding(ledger: Ledger, blobs: SqlBlobs) -> None:
    (finding,) = verify_run(ledger, "run-9", blobs)
    assert "no events" in finding.message
