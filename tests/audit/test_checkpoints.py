"""Checkpoints: what the ledger's key signed cannot be unsaid, not even by somebody who rewrites every row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.events import SampleRun, resealed

from interlock.audit import Ledger, SqlBlobs, verify_checkpoint, verify_run
from interlock.audit.append import body
from interlock.errors import IntegrityError, InvalidInput, TokenRejected
from interlock.signing import Signer, Verifier, load_signer


@pytest.fixture
def sample(ledger: Ledger, blobs: SqlBlobs) -> SampleRun:
    made = SampleRun(blobs)
    made.store(ledger)
    return made


def test_checkpoint_names_the_head(ledger: Ledger, sample: SampleRun, signer: Signer, verifier: Verifier) -> None:
    made = ledger.checkpoint(sample.run, signer)
    assert (made.run, made.count, made.head) == (sample.run, len(sample.events), sample.events[-1].hash)
    assert verify_checkpoint(made.statement, verifier) == made
    assert ledger.checkpoints(sample.run) == [made]


def test_repeated_checkpoint_is_the_same(ledger: Ledger, sample: SampleRun, signer: Signer) -> None:
    assert ledger.checkpoint(sample.run, signer) == ledger.checkpoint(sample.run, signer)


def test_each_length_has_a_checkpoint(ledger: Ledger, blobs: SqlBlobs, signer: Signer, verifier: Verifier) -> None:
    sample = SampleRun(blobs)
    ledger.append(sample.run, sample.events[:3])
    ledger.checkpoint(sample.run, signer)
    ledger.append(sample.run, sample.events[:6])
    ledger.checkpoint(sample.run, signer)
    assert [made.count for made in ledger.checkpoints(sample.run)] == [3, 6]
    assert verify_run(ledger, sample.run, blobs, verifier) == []


def test_altered_chain_is_not_signed(database: Any, ledger: Ledger, sample: SampleRun, signer: Signer) -> None:
    forged = body(sample.events[1]).replace(b'"scripted"', b'"imagined"')
    database.attack("UPDATE events SET body = ? WHERE seq = 1", forged)
    with pytest.raises(IntegrityError, match="event 1"):
        ledger.checkpoint(sample.run, signer)
    assert ledger.checkpoints(sample.run) == []
    assert [alarm.kind for alarm in ledger.alarms(sample.run)] == ["event.altered"]


def test_unknown_run_is_not_signed(ledger: Ledger, signer: Signer) -> None:
    with pytest.raises(InvalidInput, match="no events"):
        ledger.checkpoint("run-9", signer)


def test_statement_of_another_key_is_rejected(
    ledger: Ledger, sample: SampleRun, keys: Path, verifier: Verifier
) -> None:
    made = ledger.checkpoint(sample.run, load_signer(keys, "executor"))
    with pytest.raises(TokenRejected):
        verify_checkpoint(made.statement, verifier)


@pytest.mark.parametrize("claims", [{}, {"run": "r", "count": "3", "head": "h", "time": "2026-01-01"}])
def test_malformed_statement_is_rejected(signer: Signer, verifier: Verifier, claims: dict[str, Any]) -> None:
    with pytest.raises(TokenRejected):
        verify_checkpoint(signer.sign("interlock-checkpoint", claims), verifier)


def test_ended_run_needs_a_checkpoint(
    ledger: Ledger, blobs: SqlBlobs, sample: SampleRun, verifier: Verifier
) -> None:
    (finding,) = verify_run(ledger, sample.run, blobs, verifier)
    assert (finding.kind, finding.field) == ("checkpoint", "count")


class Forger:
    """Rewrites the record of a run as somebody who owns the database can: hashes, read models and all."""

    def __init__(self, database: Any) -> None:
        self.database = database

    def rewrite(self, ledger: Ledger, sample: SampleRun, forged: list[Any]) -> None:
        """Replace a run's events by `forged`, and the read models by those of the forged events."""
        for table in ("events", "approvals"):
            self.database.attack(f"DELETE FROM {table}")
        for event in forged:
            row = (event.run, event.seq, event.kind, event.hash, body(event))
            self.database.attack("INSERT INTO events (run, seq, kind, hash, body) VALUES (?, ?, ?, ?, ?)", *row)
        self._read_models(forged)

    def _read_models(self, forged: list[Any]) -> None:
        from interlock.audit.codec import approval_columns, run_columns
        from interlock.audit.projection import Projection

        projection = Projection()
        for event in forged:
            projection.apply(event)
        assert projection.run is not None
        columns = run_columns(projection.run)
        names = ", ".join(f"{name} = ?" for name in columns)
        self.database.attack(f"UPDATE runs SET {names}", *columns.values())
        for row in projection.approvals.values():
            values = approval_columns(row)
            marks = ", ".join("?" for _ in values)
            self.database.attack(f"INSERT INTO approvals ({', '.join(values)}) VALUES ({marks})", *values.values())


@pytest.fixture
def forger(database: Any) -> Forger:
    return Forger(database)


def test_rewritten_chain_is_found_by_its_checkpoint(
    ledger: Ledger, blobs: SqlBlobs, sample: SampleRun, signer: Signer, verifier: Verifier, forger: Forger
) -> None:
    ledger.checkpoint(sample.run, signer)
    place = sample.of_kind("approval.decided").seq
    forged = resealed(sample.events, place, lambda e: e.model_copy(update={"approver": "user:carol"}))
    forger.rewrite(ledger, sample, forged)
    assert ledger.approval(f"{sample.run}:a1").decided_by == "user:carol"
    (finding,) = verify_run(ledger, sample.run, blobs, verifier)
    assert (finding.kind, finding.field) == ("checkpoint", "head")


def test_cut_run_is_found_by_its_checkpoint(
    ledger: Ledger, blobs: SqlBlobs, sample: SampleRun, signer: Signer, verifier: Verifier, forger: Forger
) -> None:
    """Cut before its end, with read models to match, the run looks like one that goes on."""
    ledger.checkpoint(sample.run, signer)
    forger.rewrite(ledger, sample, sample.events[:-1])
    (finding,) = verify_run(ledger, sample.run, blobs, verifier)
    assert (finding.kind, finding.field) == ("checkpoint", "count")
