"""Decisions from the card. Each names the call that was shown by its digest; the workflow has the last word."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple, cast, get_args

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from interlock.api.caller import Caller
from interlock.api.deciding import send, turn
from interlock.api.decisions import Meant
from interlock.api.permission import may
from interlock.api.services import Services, services
from interlock.approval.card import Card
from interlock.audit import ApprovalRow
from interlock.console.away import away
from interlock.console.card import Tried, card_page
from interlock.console.edit_form import fields, filled
from interlock.console.edit_form import sent as sent_form
from interlock.console.looking import request_of
from interlock.console.pages import page
from interlock.console.standing import closed, standing
from interlock.digest import canonical, parse
from interlock.errors import Conflict, IntegrityError, InvalidInput, Refused
from interlock.run.arguments import normalise
from interlock.run.deputising import statement_for
from interlock.run.inbox import Looked, looked_into
from interlock.types.approval import ApprovalVerdict

router = APIRouter(prefix="/approvals", include_in_schema=False)
Decider = Annotated[Caller, Depends(may("approvals", "decide"))]
Held = Annotated[Services, Depends(services)]
Text = Annotated[str, Form()]


class Sent(NamedTuple):
    """A decision as a form sent it."""

    verdict: str
    digest: str
    message: str = ""
    arguments: str = ""
    emergency: bool = False
    passkey: str = ""
    """What an authenticator answered, as JSON; empty: none was asked."""


@router.post("/{request_id}/decide")
async def decide(
    request: Request,
    request_id: str,
    who: Decider,
    held: Held,
    verdict: Text,
    digest: Text,
    message: Text = "",
    arguments: Text = "",
    emergency: Annotated[bool, Form()] = False,
    passkey: Text = "",
) -> Response:
    """Take a decision, and show the card with what came of it."""
    row = await asyncio.to_thread(request_of, held, who, request_id)
    try:
        sent = Sent(verdict, digest, message.replace("\r\n", "\n"), arguments, emergency, passkey)
        await take(held, who, row, sent)
    except IntegrityError:
        return await asyncio.to_thread(card_page, request, held, who, row)
    except (Conflict, InvalidInput, Refused) as error:
        status = 409 if isinstance(error, Conflict) else 422 if isinstance(error, InvalidInput) else 403
        row = await asyncio.to_thread(request_of, held, who, request_id)
        tried = Tried(status, str(error), message=message, opened="emergency" if emergency else verdict)
        return await asyncio.to_thread(lambda: card_page(request, held, who, row, tried=tried))
    return RedirectResponse(f"/approvals/{request_id}?took={verdict}", status_code=303)


@router.post("/{request_id}/edit")
async def edit(request: Request, request_id: str, who: Decider, held: Held, digest: Text) -> Response:
    """Check an edited call, and show it beside the one that waits before it takes its place."""
    given = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    return await asyncio.to_thread(_edited, request, request_id, who, held, digest, given)


async def take(held: Services, who: Caller, row: ApprovalRow, sent: Sent) -> None:
    """Send a decision on exactly the call that was shown.

    Raises:
        Conflict: it was decided meanwhile, by whom and when; or the call is another one than was shown.
        InvalidInput: the verdict, the message or the arguments do not fit.
        Refused: this person may not, or their passkey did not sign it.
        IntegrityError: the record does not hold.
    """
    if sent.verdict not in get_args(ApprovalVerdict):
        raise InvalidInput(f"verdict: {sent.verdict!r} is none of {', '.join(get_args(ApprovalVerdict))}")
    if row.state != "pending":
        raise Conflict(f"Your decision does not count: {closed(row)}")
    looked = await asyncio.to_thread(_looked, held, row)
    _same(looked.card, sent.digest)
    if (sent.emergency or sent.verdict in ("reject", "respond")) and not sent.message.strip():
        who_reads = "whoever reviews it reads it" if sent.emergency else "the agent reads it"
        raise InvalidInput(f"message: say why; {who_reads}")
    verdict = cast(ApprovalVerdict, sent.verdict)
    meant = Meant(verdict, sent.message, _arguments(looked, sent.arguments) if verdict == "edit" else None)
    seat, deputy = ("", "") if sent.emergency else await asyncio.to_thread(_seat, held, looked, row, who)
    async with turn(row.request_id):
        await send(
            held,
            who,
            row,
            meant,
            credential=_credential(sent.passkey),
            seat=seat,
            deputy=deputy,
            emergency=sent.emergency,
        )


def _credential(passkey: str) -> dict[str, Any] | None:
    """What an authenticator answered; None where none was asked. Raises InvalidInput: it is no such answer."""
    if not passkey:
        return None
    try:
        credential = json.loads(passkey)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("passkey: not what an authenticator answers") from error
    if not isinstance(credential, dict):
        raise InvalidInput("passkey: not what an authenticator answers")
    return credential


def _edited(
    request: Request, request_id: str, who: Caller, held: Services, digest: str, given: dict[str, str]
) -> Response:
    row = request_of(held, who, request_id)
    try:
        looked = _looked(held, row)
    except IntegrityError:
        return card_page(request, held, who, row)
    if row.state != "pending":
        return card_page(request, held, who, row, tried=Tried(409, f"Nothing was edited: {closed(row)}"))
    try:
        _same(looked.card, digest)
    except Conflict as error:
        return card_page(request, held, who, row, tried=Tried(409, str(error)))
    schema = looked.tool.schema_.parameters
    came = sent_form(schema, looked.card.exact_arguments, given)
    if came.wrong:
        form = filled(fields(schema, looked.card.exact_arguments), given, came.wrong)
        general = came.wrong.get("", "")
        wrong = general or "Some arguments do not fit."
        return card_page(request, held, who, row, tried=Tried(422, form=form, wrong=wrong, opened="edit"))
    return page(
        request,
        "edited.html",
        who,
        here="Inbox",
        row=row,
        card=looked.card,
        rows=_compared(looked.card.exact_arguments, came.arguments),
        arguments=json.dumps(came.arguments),
    )


def _seat(held: Services, looked: Looked, row: ApprovalRow, who: Caller) -> tuple[str, str]:
    """The approver for whom somebody decides, and that one's statement, where they named them their deputy; both
    empty where somebody decides for themselves."""
    pending = looked.proof.votes.pending[row.request_id]
    handed = next((seat for seat, holder in pending.moved.items() if holder == who.person and seat != holder), "")
    if handed:
        return handed, ""
    seat = standing(row, who.person, datetime.now(UTC), away(held, who)).seat
    return seat, statement_for(held.accounts, who.tenant, seat=seat, stand_in=who.person) if seat else ""


def _looked(held: Services, row: ApprovalRow) -> Looked:
    return looked_into(row, held.settings, held.ledger, held.blobs, now=datetime.now(UTC))


def _same(card: Card, digest: str) -> None:
    if digest != card.call_digest:
        raise Conflict(
            f"You were shown call {digest or 'without a digest'}, and {card.call_digest} waits: nothing was sent",
            next_step="read the card again",
        )


def _arguments(looked: Looked, text: str) -> dict[str, Any]:
    """Raises InvalidInput: they do not fit the tool."""
    if looked.card.kind != "call":
        raise InvalidInput(f"verdict: a {looked.card.kind} request cannot be edited")
    value = parse(text)
    if not isinstance(value, dict):
        raise InvalidInput("arguments: must be a JSON object")
    return normalise(looked.tool.schema_.parameters, value)


def _compared(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Argument, as it was, as it would be; JSON, and empty where there is none."""

    def written(values: dict[str, Any], name: str) -> str:
        return canonical(values[name]).decode() if name in values else ""

    return [(name, written(old, name), written(new, name)) for name in sorted({*old, *new})]
