"""What people may do with an open request besides deciding it: withdraw it, or hand their decision on."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from interlock.api.caller import Caller
from interlock.api.permission import may
from interlock.api.services import Services, services
from interlock.audit import ApprovalRow
from interlock.console.card import Tried, card_page
from interlock.console.looking import request_of
from interlock.console.standing import closed
from interlock.errors import Conflict, InvalidInput, Refused

router = APIRouter(prefix="/approvals", include_in_schema=False)
Held = Annotated[Services, Depends(services)]
Reason = Annotated[str, Form()]


@router.post("/{request_id}/withdraw")
async def withdraw(
    request: Request,
    request_id: str,
    who: Annotated[Caller, Depends(may("runs", "control"))],
    held: Held,
    reason: Reason,
) -> Response:
    """Withdraw a request of one's own run: its call does not run."""
    row = await asyncio.to_thread(request_of, held, who, request_id)
    try:
        _open(row, reason)
        await held.runs_in(who.tenant).withdraw(row, by=who.person, reason=reason.strip())
    except (Conflict, InvalidInput, Refused) as error:
        return await refused_again(request, held, who, request_id, error, "withdraw")
    return RedirectResponse(f"/approvals/{request_id}?took=withdraw", status_code=303)


@router.post("/{request_id}/hand-on")
async def hand_on(
    request: Request,
    request_id: str,
    who: Annotated[Caller, Depends(may("approvals", "decide"))],
    held: Held,
    to: Annotated[str, Form()],
    reason: Reason,
) -> Response:
    """Hand one's decision on to somebody whom the route lets stand in."""
    row = await asyncio.to_thread(request_of, held, who, request_id)
    try:
        _open(row, reason)
        await held.runs_in(who.tenant).reassign(row, by=who.person, to=to, reason=reason.strip())
    except (Conflict, InvalidInput, Refused) as error:
        return await refused_again(request, held, who, request_id, error, "hand-on")
    return RedirectResponse(f"/approvals/{request_id}?took=hand-on", status_code=303)


def _open(row: ApprovalRow, reason: str) -> None:
    """Raises Conflict: it waits no more. InvalidInput: no reason."""
    if row.state != "pending":
        raise Conflict(f"Nothing was done: {closed(row)}")
    if not reason.strip():
        raise InvalidInput("reason: say why; it is on record")


async def refused_again(
    request: Request, held: Services, who: Caller, request_id: str, error: Exception, opened: str
) -> Response:
    """The card once more, with why what was sent does not count."""
    status = 409 if isinstance(error, Conflict) else 422 if isinstance(error, InvalidInput) else 403
    row = await asyncio.to_thread(request_of, held, who, request_id)
    tried = Tried(status, str(error), opened=opened)
    return await asyncio.to_thread(lambda: card_page(request, held, who, row, tried=tried))
