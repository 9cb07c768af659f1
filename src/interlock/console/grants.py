"""Standing grants: given on a card for exactly the call that is shown, listed, and ended."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from interlock.api.caller import Caller
from interlock.api.permission import may
from interlock.api.problems import NotFound
from interlock.api.services import Services, services
from interlock.console.amending import refused_again
from interlock.console.looking import request_of
from interlock.console.pages import can, page
from interlock.console.standing import closed
from interlock.errors import Conflict, InvalidInput, Refused
from interlock.run.standing_grants import all_stated
from interlock.signing import load_verifier

router = APIRouter(include_in_schema=False)
Reader = Annotated[Caller, Depends(may("approvals", "read"))]
Decider = Annotated[Caller, Depends(may("approvals", "decide"))]
Steerer = Annotated[Caller, Depends(may("runs", "control"))]
Held = Annotated[Services, Depends(services)]
Text = Annotated[str, Form()]


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
    api = load_verifier(held.settings.keys_folder, "api")
    found = list(all_stated(held.ledger.grants(who.tenant), api))
    ends = can(held, who, "runs", "control")
    return page(request, "grants.html", who, here="Inbox", grants=found[::-1], ends=ends, now=datetime.now(UTC))


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
