"""Verification of one run: is the record whole and unaltered? Everything wrong is a `Finding`, never an error."""

from __future__ import annotations

from interlock.audit.checks.calls import check_reservations, check_workspaces
from interlock.audit.checks.chain import check_events
from interlock.audit.checks.checkpoints import check_checkpoints
from interlock.audit.checks.content import ContentCheck, check_calls
from interlock.audit.checks.grants import check_grants
from interlock.audit.checks.readmodels import check_read_models
from interlock.audit.ledger import Ledger
from interlock.audit.rows import Finding
from interlock.events import RunErased
from interlock.signing import Verifier
from interlock.types.blobs import BlobStore


def verify_run(ledger: Ledger, run: str, blobs: BlobStore, verifier: Verifier | None = None) -> list[Finding]:
    """Check all that is stored about a run against its chain, its blobs and its checkpoints.

    Args:
        verifier: of the ledger's public key. Without it checkpoints are compared, their signatures are not
            checked, and an ended run needs none.

    Returns:
        What is wrong, events first and in order; empty if everything agrees.

    Raises:
        LedgerUnavailable: a database cannot be read.
    """
    record = ledger.record(run)
    findings: list[Finding] = []
    events, whole = check_events(run, record.events, findings)
    if not record.events:
        findings.append(Finding(-1, "run", "run", f"the ledger has no events of run {run!r}"))
    erased = any(isinstance(event, RunErased) for event in events)
    ContentCheck(blobs.of(run), findings, shared=blobs, erased=erased).check(events)
    check_calls(events, findings)
    if whole:
        check_read_models(record, events, findings)
        check_reservations(record, events, findings)
        check_workspaces(record, events, findings)
        check_grants(record, events, findings)
    check_checkpoints(run, record, verifier, findings)
    return sorted(findings, key=lambda finding: (finding.seq < 0, finding.seq))
