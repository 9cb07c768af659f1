"""Several calls of one shape decided at once: each is listed in full, and each is decided by its own digest."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, NamedTuple

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from interlock.api.caller import Caller
from interlock.api.permission import may
from interlock.api.services import Services, services
from interlock.approval.card import Card
from interlock.audit import ApprovalRow
from interlock.console.card import stands
from interlock.console.deciding import Sent, take
from interlock.console.looking import request_of
from interlock.console.pages import page
from interlock.console.standing import PAST
from interlock.console.waiting import shape
from interlock.errors import Conflict, InterlockError, InvalidInput
from interlock.run.inbox import looked_into

router = APIRouter(prefix="/together", include_in_schema=False)
Decider = Annotated[Caller, Depends(may("approvals", "decide"))]
Held = Annotated[Services, Depends(services)]
MOST: Final = 20
"""Calls on one page: more than that nobody reads."""


class Listed(NamedTuple):
    """One call of the shape."""

    row: ApprovalRow
    card: Card


class Became(NamedTuple):
    """What became of one decision."""

    request_id: str
    taken: bool
    said: str


@router.get("/{request_id}")
def listed(request: Request, request_id: str, who: Decider, held: Held) -> Response:
    """Every call that waits for the same person and has the same shape."""
    row = request_of(held, who, request_id)
    now = datetime.now(UTC)
    alike = [
        one
        for one in held.ledger.approvals()
        if one.kind == "call" and one.tenant == who.tenant and shape(one) == shape(row)
        if stands(held, who, one, now).may
    ]
    shown: list[Listed] = []
    broken: list[tuple[str, str]] = []
    for one in sorted(alike, key=lambda row: row.expires_at)[:MOST]:
        try:
            shown.append(Listed(one, looked_into(one, held.settings, held.ledger, held.blobs, now=now).card))
        except InterlockError as error:
            broken.append((one.request_id, str(error)))
    more = max(0, len(alike) - MOST)
    return page(request, "together.html", who, here="Inbox", row=row, shown=shown, broken=broken, more=more)


@router.post("/{request_id}")
async def decide(
    request: Request,
    request_id: str,
    who: Decider,
    held: Held,
    verdict: Annotated[Literal["approve", "reject"], Form()],
    chosen: Annotated[list[str], Form()] = [],  # noqa: B006 (FastAPI copies it)
    message: Annotated[str, Form()] = "",
) -> Response:
    """Decide on those that were chosen, one after the other; each says what became of it."""
    first = await asyncio.to_thread(request_of, held, who, request_id)
    if not chosen or len(chosen) > MOST:
        raise InvalidInput(f"chosen: choose between one and {MOST} calls", next_step="go back and choose")
    if verdict == "reject" and not message.strip():
        raise InvalidInput("message: say why; the agents read it", next_step="go back and write it")
    became = [await _one(held, who, first, one, verdict, message) for one in dict.fromkeys(chosen)]
    taken = all(one.taken for one in became)
    return await asyncio.to_thread(
        lambda: page(
            request,
            "together_done.html",
            who,
            here="Inbox",
            status=200 if taken else 409,
            became=became,
            done=PAST[verdict],
        )
    )


async def _one(held: Services, who: Caller, first: ApprovalRow, chosen: str, verdict: str, message: str) -> Became:
    """Decide on one: `REQUEST DIGEST`, as the page listed it."""
    request_id, _, digest = chosen.partition(" ")
    try:
        row = await asyncio.to_thread(request_of, held, who, request_id)
        if shape(row) != shape(first):
            raise Conflict(f"{request_id} is not of the same shape; it was not decided", next_step="open its card")
        await take(held, who, row, Sent(verdict, digest, message))
    except InterlockError as error:
        return Became(request_id, False, str(error))
    return Became(request_id, True, "")
