"""`/v1/approvals/{id}/…`: deciding, and what a decision may be in its place: withdrawn, or handed on."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from interlock.api.approval_shapes import Changed, Decided, Signing
from interlock.api.caller import Caller
from interlock.api.cards import pending, seats_of, tag
from interlock.api.deciding import challenge, resolved, send, turn
from interlock.api.decisions import Decide, HandOn, Withdraw
from interlock.api.etag import Route, check_match
from interlock.api.permission import may
from interlock.api.relying_party import RelyingParty
from interlock.api.schemas import errors
from interlock.api.services import Services, services
from interlock.run.deputising import statement_for

router = APIRouter(prefix="/v1/approvals", tags=["approvals"], route_class=Route, responses=errors())
Held = Annotated[Services, Depends(services)]


@router.post("/{request_id}/decisions", responses=errors(404, 409, 410, 412, 500))
async def decide(
    request_id: str,
    body: Decide,
    request: Request,
    who: Annotated[Caller, Depends(may("approvals", "decide"))],
    held: Held,
) -> Decided:
    """Decide on a request. Who may, its route says; the workflow and the executor check that themselves."""
    async with turn(request_id):
        row = await pending(held, who, request_id)
        decision = await asyncio.to_thread(resolved, held, row, body)
        check_match(request, tag(row, await asyncio.to_thread(seats_of, held, who, row)))
        seat = "" if body.seat == who.person else body.seat
        taken = await send(
            held,
            who,
            row,
            decision,
            credential=body.passkey,
            seat=seat,
            deputy=await asyncio.to_thread(_deputy, held, who, seat) if seat else "",
            emergency=body.emergency,
        )
    return Decided(
        request_id=request_id,
        call_id=row.call_id,
        verdict=decision.verdict,
        state=taken.state,
        closes=taken.closes,
    )


@router.post("/{request_id}/withdrawal", responses=errors(404, 409))
async def withdraw(
    request_id: str, body: Withdraw, who: Annotated[Caller, Depends(may("runs", "control"))], held: Held
) -> Changed:
    """Withdraw a request of a run that you started: its call does not run."""
    row = await pending(held, who, request_id)
    taken = await held.runs_in(who.tenant).withdraw(row, by=who.person, reason=body.reason)
    return Changed(request_id=request_id, state=taken.state)


@router.post("/{request_id}/reassignment", responses=errors(404, 409))
async def reassign(
    request_id: str, body: HandOn, who: Annotated[Caller, Depends(may("approvals", "decide"))], held: Held
) -> Changed:
    """Hand your decision on to another person, whom the route lets stand in."""
    row = await pending(held, who, request_id)
    taken = await held.runs_in(who.tenant).reassign(row, by=who.person, to=body.to, reason=body.reason)
    return Changed(request_id=request_id, state=taken.state)


@router.post("/{request_id}/signing", responses=errors(404, 409, 410, 500))
async def signing(
    request_id: str, body: Decide, who: Annotated[Caller, Depends(may("approvals", "decide"))], held: Held
) -> Signing:
    """Ask your passkey to sign a decision: options for `navigator.credentials.get`. Decide with what it answers."""
    row = await pending(held, who, request_id)
    decision = await asyncio.to_thread(resolved, held, row, body)
    known = await asyncio.to_thread(held.accounts.passkeys.of, who.person, who.tenant)
    party = RelyingParty.of(held.settings)
    return Signing(options=party.request(challenge(row, decision), known))


def _deputy(held: Services, who: Caller, seat: str) -> str:
    return statement_for(held.accounts, who.tenant, seat=seat, stand_in=who.person)
