"""The audit: alarms, checkpoints, and a run's record verified now.

This process holds the API's key and so imports no team's code. It verifies what is stored and what is signed, and
makes each decision again; that Temporal's history gives the same events is asked by `interlock replay`, elsewhere.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from interlock.api.caller import Caller
from interlock.api.permission import may
from interlock.api.services import Services, services
from interlock.audit import Finding, verify_run
from interlock.audit.checkpoint import verify_checkpoint
from interlock.console.looking import run_of
from interlock.console.pages import can, fragment, page
from interlock.errors import InterlockError
from interlock.run.inbox import proven
from interlock.signing import load_verifier

router = APIRouter(prefix="/audit", include_in_schema=False)
Reader = Annotated[Caller, Depends(may("audit", "read"))]
Verifier = Annotated[Caller, Depends(may("audit", "verify"))]
Held = Annotated[Services, Depends(services)]


class Verified(NamedTuple):
    """What verification found."""

    run: str
    events: int
    findings: list[Finding]
    proof: str
    """Why an event is not borne out; empty where all are."""
    erased: bool

    @property
    def holds(self) -> bool:
        """Whether all of it does."""
        return self.events > 0 and not self.findings and not self.proof


@router.get("")
def audit(request: Request, who: Reader, held: Held, run: str = "") -> Response:
    """Alarms; of a run, its checkpoints."""
    row = run_of(held, who, run) if run else None
    checkpoints = [(one, _signed(held, one.statement)) for one in held.ledger.checkpoints(run)] if row else []
    own = {one.run for one in held.ledger.find_runs(1000, tenant=who.tenant)}
    return page(
        request,
        "audit.html",
        who,
        here="Audit",
        row=row,
        checkpoints=checkpoints,
        alarms=[one for one in held.ledger.alarms() if one.run in own][::-1][:100],
        recent=held.ledger.find_runs(10, tenant=who.tenant),
        verifies=can(held, who, "audit", "verify"),
    )


@router.post("/verify")
def verify(request: Request, who: Verifier, held: Held, run: Annotated[str, Form()]) -> Response:
    """Verify a run's record now."""
    row = run_of(held, who, run)
    found = verified(held, row.run)
    if request.headers.get("hx-request"):
        return fragment("verified.html", who, found=found)
    return page(request, "verified_page.html", who, here="Audit", found=found)


def verified(held: Services, run: str) -> Verified:
    """Chain, blobs, read models, checkpoints; then each signature and each decision."""
    findings = verify_run(held.ledger, run, held.blobs, load_verifier(held.settings.keys_folder, "ledger"))
    erased = held.ledger.erasure(run) is not None
    proof, events = "", 0
    try:
        recorded = held.ledger.events(run)
        events = len(recorded)
        if not erased:
            proven(run, recorded, held.settings, held.ledger, held.blobs)
    except InterlockError as error:
        proof = error.reason
    return Verified(run, events, findings, proof, erased)


def _signed(held: Services, statement: str) -> bool:
    try:
        verify_checkpoint(statement, load_verifier(held.settings.keys_folder, "ledger"))
    except InterlockError:
        return False
    return True
