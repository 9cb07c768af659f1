"""The card: everything that a decision is taken on, and afterwards what really happened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from interlock.api.caller import Caller
from interlock.api.permission import may
from interlock.api.services import Services, services
from interlock.approval.card import Card
from interlock.audit import ApprovalRow
from interlock.console.answers import answers
from interlock.console.away import away
from interlock.console.edit_form import Field, fields
from interlock.console.looking import request_of
from interlock.console.outcome import edited, outcome
from interlock.console.pages import can, fragment, page
from interlock.console.precedents import precedents
from interlock.console.spent import cost
from interlock.console.standing import ASKED, OFFERED, PAST, Standing, closed, standing
from interlock.digest import digest_of
from interlock.errors import Erased, IntegrityError
from interlock.events import ApprovalRequested, Event
from interlock.run.erasure import content_of
from interlock.run.inbox import Looked, looked_into
from interlock.run.timeline import Timeline

router = APIRouter(prefix="/approvals", include_in_schema=False)
Reader = Annotated[Caller, Depends(may("approvals", "read"))]
Held = Annotated[Services, Depends(services)]


@router.get("/{request_id}")
def card(request: Request, request_id: str, who: Reader, held: Held, took: str = "") -> Response:
    """The card of a request."""
    return card_page(request, held, who, request_of(held, who, request_id), took=took)


@router.get("/{request_id}/state")
def state(request_id: str, who: Reader, held: Held, seen: str = "") -> Response:
    """What became of it, if that is not what the page shows already."""
    row = request_of(held, who, request_id)
    found = _state(held, row, held.ledger.events(row.run))
    if found["version"] == seen:
        return Response(status_code=204)
    return fragment("state.html", who, row=row, polled=True, **found)


@dataclass(frozen=True)
class Tried:
    """A decision that was sent and does not count, as the page shows it again."""

    status: int = 200
    problem: str = ""
    """Why it does not count."""
    form: tuple[Field, ...] = ()
    """The edit form as it was sent; empty: as the call is."""
    wrong: str = ""
    """What is wrong with all of that form."""
    message: str = ""
    """What was written."""
    opened: str = ""
    """The verdict whose form is open."""


NOTHING: Final = Tried()


def card_page(
    request: Request,
    held: Services,
    who: Caller,
    row: ApprovalRow,
    *,
    took: str = "",
    tried: Tried = NOTHING,
) -> Response:
    """The card as a page; `took` is the verdict that was just taken."""
    now = datetime.now(UTC)
    try:
        looked = looked_into(row, held.settings, held.ledger, held.blobs, now=now)
    except (IntegrityError, Erased) as error:
        return page(request, "refused_card.html", who, here="Inbox", status=500, row=row, error=error)
    return page(
        request,
        "card.html",
        who,
        here="Inbox",
        status=tried.status,
        row=row,
        card=looked.card,
        stands=stands(held, who, row, now, looked.card),
        asked=ASKED[looked.card.kind],
        offered=OFFERED[looked.card.kind],
        glass=breaks_glass(looked, row, who),
        withdraws=row.state == "pending" and who.person == row.requester and can(held, who, "runs", "control"),
        terms=looked.proof.votes.pending[row.request_id].request.route.grants
        if looked.card.kind == "call"
        else None,
        answers=answers(looked.card),
        form=tried.form or fields(looked.tool.schema_.parameters, looked.card.exact_arguments),
        cost=cost(looked.events),
        before=precedents(held, row, looked.tool) if looked.card.kind == "call" else None,
        led=_led_here(held, row, looked.events),
        took=PAST.get(took, ""),
        problem=tried.problem,
        wrong=tried.wrong,
        message=tried.message,
        opened=tried.opened,
        polled=False,
        **_state(held, row, looked.events),
    )


def stands(held: Services, who: Caller, row: ApprovalRow, now: datetime, card: Card | None = None) -> Standing:
    """Whether this person may decide: by the route, as the card proves it, and by the rules about people."""
    found = standing(row, who.person, now, away(held, who))
    if found.may and not can(held, who, "approvals", "decide"):
        return Standing(False, "No rule lets you decide on requests here (interlock.approvals, action decide).")
    if found.seat and card is not None and who.person not in card.stand_ins:
        return Standing(False, f"{found.seat} named you, but route {row.route} lets you stand in for nobody.")
    return found


def breaks_glass(looked: Looked, row: ApprovalRow, who: Caller) -> bool:
    """Whether this person may let the call run at once, alone, to be reviewed afterwards."""
    decided = {vote.approver for vote in row.votes}
    return row.state == "pending" and who.person in set(looked.card.emergency) - {row.requester} - decided


def _state(held: Services, row: ApprovalRow, events: list[Event]) -> dict[str, Any]:
    """What became of the request, and what says whether that has changed."""
    blobs = content_of(held.ledger, held.blobs, row.run)
    happened = outcome(events, row.call_id, blobs) if row.kind != "question" else None
    instead = edited(events, row.call_id, blobs)
    over = row.state != "pending" and (row.kind == "question" or bool(happened and happened.status))
    facts = [
        [row.state, row.stage, *row.approvers],
        [[vote.approver, vote.verdict] for vote in row.votes],
        happened.status if happened else "",
        [instead.call_id, instead.verdict, instead.request_id, instead.outcome.status] if instead else [],
    ]
    version = digest_of(facts).removeprefix("sha256:")[:16]
    said = closed(row) if row.state != "pending" else ""
    return {"version": version, "said": said, "happened": happened, "instead": instead, "over": over}


def _led_here(held: Services, row: ApprovalRow, events: list[Event]) -> list[tuple[Event, str, str]]:
    """The run up to this request, in words."""
    words = Timeline(content_of(held.ledger, held.blobs, row.run))
    told = []
    for event in events:
        told.append((event, *words.told(event)))
        if isinstance(event, ApprovalRequested) and event.request_id == row.request_id:
            break
    return told
