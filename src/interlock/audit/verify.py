"""Verification of one run: is the record whole and unaltered? Everything wrong is a `Finding`, never an error."""

from __future__ import annotations

from interlock.audit.ledger import Ledger
from interlock.audit.rows import Checkpoint, Finding
from interlock.signing import Verifier
from interlock.types.blobs import Blobs


def verify_run(ledger: Ledger, run: str, blobs: Blobs, verifier: Verifier | None = None) -> list[Finding]: ...
def verify_checkpoint(statement: str, verifier: Verifier) -> Checkpoint: ...
