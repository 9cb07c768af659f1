"""Standing grants: given on a card for exactly the call that is shown, listed, and ended."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from interlock.api.caller import Caller
from interlock.api.permission import may
from interlock.api.problems import NotFound
from interlock.api.services import Services, services
from interlock.approval.grants import GrantClaims
from interlock.audit import GrantRow
from interlock.console.amending import refused_again
from interlock.console.looking import request_of
from interlock.console.pages import can, page
from interlock.console.standing import closed
from interlock.errors import Conflict, InvalidInput, Refused, TokenRejected
from interlock.signing import load_verifier

router = APIRouter(include_in_schema=False)
Reader = Annotated[Caller, Depends(may("approvals", "read"))]
Decider = Annotated[Caller, Depends(may("approvals", "decide"))]
Steerer = Annotated[Caller, Depends(may("runs", "control"))]
Held = Annotated[Services, Depends(services)]
Text = Annotated[str, Form()]


class Granted(NamedTuple):
    """A grant, as its giver's signed statement says."""

    row: GrantRow
    claims: GrantClaims
    made_at: datetime
    ends_at: datetime
    holds: bool
    """Whether it still lets a call run, as far as its own terms say."""


@router.post("/approvals/{request_id}/grant")
async def give(
    request: Request,
    request_id: str,
    who: Decider,
    held: Held,
    digest: Text,
    hours: Annotated[int, Form(ge=1, le=24 * 366)],
    uses: Annotated[int, Form(ge=1, le=1_000_000)],
    reason: Text,
) -> Response:
    """Let exactly this call run again for some time; the request itself still waits for its decision."""
    row = await asyncio.to_thread(request_of, held, who, request_id)
    try:
        if row.state != "pending":
            raise Conflict(f"Nothing was granted: {closed(row)}")
        if digest != row.call_digest:
            raise Conflict("You were shown another call than the one that waits: nothing was granted")
        if not reason.strip():
            raise InvalidInput("reason: say why; it is on record")
        await held.runs_in(who.tenant).grant(
            row, by=who.person, lasts=timedelta(hours=hours), uses=uses, reason=reason.strip()
        )
    except (Conflict, InvalidInput, Refused) as error:
        return await refused_again(request, held, who, request_id, error, "grant")
    return RedirectResponse(f"/approvals/{request_id}?took=grant", status_code=303)


@router.get("/grants")
def grants(request: Request, who: Reader, held: Held) -> Response:
    """Standing grants, newest first."""
    found = [one for row in held.ledger.grants(who.tenant) if (one := _granted(held, row)) is not None]
    ends = can(held, who, "runs", "control")
    return page(request, "grants.html", who, here="Inbox", grants=found[::-1], ends=ends)


@router.post("/grants/{grant}/revoke")
async def revoke(grant: str, who: Steerer, held: Held, reason: Text) -> Response:
    """End a grant: the next such call asks again."""
    await asyncio.to_thread(_known, held, who, grant)
    await held.runs_in(who.tenant).revoke(grant, by=who.person, reason=reason.strip())
    return RedirectResponse("/grants", status_code=303)


def _known(held: Services, who: Caller, grant: str) -> None:
    """Raises NotFound: there is none, or it is another tenant's."""
    try:
        row = held.ledger.grant(grant)
    except InvalidInput:
        row = None
    if row is None or row.tenant != who.tenant:
        raise NotFound(f"there is no grant {grant!r}", next_step="open the list of standing grants")


def _granted(held: Services, row: GrantRow) -> Granted | None:
    """What the statement says; None where the API did not sign it: such a row grants nothing."""
    try:
        claims = GrantClaims.read(load_verifier(held.settings.keys_folder, "api"), row.token, now=None)
    except TokenRejected:
        return None
    if claims.jti != row.grant or claims.tenant != row.tenant:
        return None
    made, ends = datetime.fromtimestamp(claims.iat, UTC), datetime.fromtimestamp(claims.exp, UTC)
    holds = not row.revoked_by and row.used < claims.uses and datetime.now(UTC) < ends
    return Granted(row, claims, made, ends, holds)
