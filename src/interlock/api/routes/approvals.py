"""`/v1/approvals`: what waits for people, and the card of each."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from interlock.api.approval_shapes import CardShape, RequestPage, RequestShape
from interlock.api.caller import Caller
from interlock.api.cards import looked, seats_of, shaped, tag
from interlock.api.etag import Route
from interlock.api.found import approval_row
from interlock.api.permission import may
from interlock.api.schemas import Cursor, Limit, errors
from interlock.api.services import Services, services
from interlock.audit import ApprovalRow
from interlock.audit.finding import cursor_of

router = APIRouter(prefix="/v1/approvals", tags=["approvals"], route_class=Route, responses=errors())
Held = Annotated[Services, Depends(services)]
Reader = Annotated[Caller, Depends(may("approvals", "read"))]


@router.get("")
async def list_requests(
    who: Reader,
    held: Held,
    state: Annotated[
        Literal["pending", "closed"], Query(description="Those that wait, or those that wait no more.")
    ] = "pending",
    run: Annotated[str, Query(max_length=128, description="Of this run alone.")] = "",
    mine: Annotated[bool, Query(description="Only those on which you may decide.")] = False,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> RequestPage:
    """Requests: pending ones oldest first, closed ones newest first."""
    if state == "closed":
        rows = await asyncio.to_thread(held.ledger.find_closed, limit, cursor, tenant=who.tenant)
        page = [row for row in rows if not run or row.run == run]
        following = cursor_of(rows[-1]) if len(rows) == limit else ""
    else:
        every = await asyncio.to_thread(held.ledger.approvals, "pending", run or None)
        own = [row for row in every if row.tenant == who.tenant and _behind(row, cursor) and _fits(row, who, mine)]
        page, following = own[:limit], cursor_of(own[limit - 1]) if len(own) > limit else ""
    return RequestPage(approvals=[RequestShape.model_validate(row) for row in page], next=following)


def _behind(row: ApprovalRow, cursor: str) -> bool:
    return not cursor or cursor_of(row) > cursor


def _fits(row: ApprovalRow, who: Caller, mine: bool) -> bool:
    return not mine or (who.person in row.approvers and who.person != row.requester)


@router.get("/{request_id}", responses=errors(404, 410, 500))
async def get(request_id: str, response: Response, who: Reader, held: Held) -> CardShape:
    """The card of a request. Where the run's record does not hold, there is none."""
    row = await approval_row(held, who, request_id)
    card = (await asyncio.to_thread(looked, held, row)).card
    seats = await asyncio.to_thread(seats_of, held, who, row)
    response.headers["etag"] = tag(row, seats)
    return shaped(card, row, seats)
