"""`/v1/approvals`: what waits for people, the card of each, and deciding."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Literal
from weakref import WeakValueDictionary

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field, JsonValue

from interlock.api.caller import Caller
from interlock.api.decisions import Decide, HandOn, Withdraw, meant
from interlock.api.etag import Route, check_match, tag_of
from interlock.api.found import approval_row
from interlock.api.permission import may
from interlock.api.schemas import Cursor, Limit, Shape, errors
from interlock.api.services import Services, services
from interlock.approval.card import Card
from interlock.approval.judge import ALLOWED
from interlock.audit import ApprovalRow
from interlock.audit.finding import cursor_of
from interlock.errors import Conflict, Erased, IntegrityError
from interlock.run.arguments import normalise
from interlock.run.deputising import statement_for
from interlock.run.inbox import Looked, looked_into
from interlock.types.approval import ApprovalVerdict, RequestKind, RequestState

router = APIRouter(prefix="/v1/approvals", tags=["approvals"], route_class=Route, responses=errors())
Held = Annotated[Services, Depends(services)]
Reader = Annotated[Caller, Depends(may("approvals", "read"))]

_turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
"""Decisions on one request go to its workflow one after the other: Temporal takes ten at a time."""


class RequestShape(Shape):
    """A request in a list. What it is about, a list does not say: that is read from the card, which is verified."""

    request_id: str = Field(examples=["fix-issue-20261130-101500-3f9a1c:a1"])
    run: str
    requester: str
    kind: RequestKind
    agent: str
    tool: str
    route: str
    stage: str = Field(description="The stage of the route that decides; empty where it has one alone.")
    approvers: list[str] = Field(description="Who may decide at this stage.")
    quorum: int
    requested_at: datetime
    expires_at: datetime = Field(description="The deadline of this stage.")
    state: RequestState
    decided_by: str
    decided_at: datetime | None


class RequestPage(Shape):
    """Some requests."""

    approvals: list[RequestShape]
    next: str = Field(description="`cursor` of the next page; empty where this is the last.")


class VoteShape(Shape):
    """One person's decision."""

    approver: str
    verdict: ApprovalVerdict
    at: datetime
    message: str


class CardShape(Shape):
    """Everything that a decision is made on, proven from the run's events now. Texts of agents are made visible."""

    request_id: str
    run: str
    kind: RequestKind
    state: RequestState
    sentence: str
    agent: str
    tool: str
    call_id: str
    call_digest: str = Field(description="Send it back with the decision.")
    arguments: dict[str, JsonValue] = Field(description="The normalised arguments, exactly.")
    changes: list[JsonValue] | None = Field(description="Changes of files since the run began; null: does not say.")
    rule: str
    reason: str
    route: str
    stage: str
    stages: list[JsonValue] = Field(description="The stages of the route, in order.")
    approvers: list[str]
    quorum: int
    emergency: list[str] = Field(description="Who may let it run at once, alone, with a review afterwards.")
    requester: str
    requested_at: datetime
    expires_at: datetime
    warnings: list[str]
    votes: list[VoteShape]
    decisions: list[str] = Field(description="What may be decided.")
    seats: list[str] = Field(description="The approvers for whom you may decide while they are away.")


class Decided(Shape):
    """What became of the decision."""

    request_id: str
    call_id: str
    verdict: ApprovalVerdict
    state: RequestState
    closes: bool = Field(description="Whether the request is closed by it; else more people must approve.")


class Changed(Shape):
    """What became of the request."""

    request_id: str
    state: RequestState


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
    card = (await asyncio.to_thread(_looked, held, row)).card
    seats = await asyncio.to_thread(_seats, held, who, row)
    response.headers["etag"] = _tag(row, seats)
    return _card(card, row, seats)


@router.post("/{request_id}/decisions", responses=errors(404, 409, 410, 412, 500))
async def decide(
    request_id: str,
    body: Decide,
    request: Request,
    who: Annotated[Caller, Depends(may("approvals", "decide"))],
    held: Held,
) -> Decided:
    """Decide on a request. Who may, its route says; the workflow and the executor check that themselves."""
    turn = _turns.setdefault(request_id, asyncio.Lock())
    async with turn:
        row = await approval_row(held, who, request_id)
        if row.state != "pending":
            raise Conflict(_closed(row))
        if body.call_digest != row.call_digest:
            raise Conflict(
                f"{request_id} is about another call than {body.call_digest}", next_step="read its card again"
            )
        check_match(request, _tag(row, await asyncio.to_thread(_seats, held, who, row)))
        decision = meant(body.decision, kind=row.kind, tool=row.tool)
        edited = decision.edited
        if edited is not None:
            edited = await asyncio.to_thread(_fitting, held, row, edited)
        seat = "" if body.seat == who.person else body.seat
        taken = await held.runs_in(who.tenant).decide(
            row,
            decision.verdict,
            approver=who.person,
            message=decision.message,
            edited=edited,
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
    row = await _pending(held, who, request_id)
    taken = await held.runs_in(who.tenant).withdraw(row, by=who.person, reason=body.reason)
    return Changed(request_id=request_id, state=taken.state)


@router.post("/{request_id}/reassignment", responses=errors(404, 409))
async def reassign(
    request_id: str, body: HandOn, who: Annotated[Caller, Depends(may("approvals", "decide"))], held: Held
) -> Changed:
    """Hand your decision on to another person, whom the route lets stand in."""
    row = await _pending(held, who, request_id)
    taken = await held.runs_in(who.tenant).reassign(row, by=who.person, to=body.to, reason=body.reason)
    return Changed(request_id=request_id, state=taken.state)


def _seats(held: Services, who: Caller, row: ApprovalRow) -> list[str]:
    away = held.accounts.deputies.of_stand_in(who.person, who.tenant, now=datetime.now(UTC))
    return sorted({one.person for one in away if one.person in row.approvers})


def _deputy(held: Services, who: Caller, seat: str) -> str:
    return statement_for(held.accounts, who.tenant, seat=seat, stand_in=who.person)


async def _pending(held: Services, who: Caller, request_id: str) -> ApprovalRow:
    row = await approval_row(held, who, request_id)
    if row.state != "pending":
        raise Conflict(_closed(row))
    return row


def _fitting(held: Services, row: ApprovalRow, edited: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Arguments that fit the tool as the run pins it; the edited call is decided anew."""
    found: dict[str, JsonValue] = normalise(_looked(held, row).tool.schema_.parameters, edited)
    return found


def _looked(held: Services, row: ApprovalRow) -> Looked:
    """The request, proven from the run's record.

    Raises:
        Erased: the run's content was erased, so that nothing can be shown.
        IntegrityError: the record does not hold.
    """
    try:
        return looked_into(row, held.settings, held.ledger, held.blobs, now=datetime.now(UTC))
    except IntegrityError as error:
        if isinstance(error.__cause__, Erased):
            raise error.__cause__ from error
        raise


def _tag(row: ApprovalRow, seats: list[str]) -> str:
    return tag_of(
        row.request_id, row.call_digest, row.state, row.stage, row.approvers, row.expires_at, len(row.votes), *seats
    )


def _card(card: Card, row: ApprovalRow, seats: list[str]) -> CardShape:
    changes = [change.model_dump(mode="json") for change in card.changes] if card.changes is not None else None
    return CardShape(
        **card.model_dump(mode="json", include=set(CardShape.model_fields) - {"arguments", "changes"}),
        arguments=card.exact_arguments,
        changes=changes,
        state=row.state,
        seats=seats,
        votes=[VoteShape.model_validate(vote) for vote in row.votes],
        decisions=sorted(ALLOWED[card.kind]) if row.state == "pending" else [],
    )


def _closed(row: ApprovalRow) -> str:
    if row.decided_at is None:
        return f"{row.request_id} is {row.state}"
    when = row.decided_at.isoformat(timespec="seconds")
    verdict = row.votes[-1].verdict if row.votes else row.state
    return f"{row.request_id} was decided: {verdict} by {row.decided_by} at {when}"
