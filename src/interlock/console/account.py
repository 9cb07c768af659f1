"""One's own account: who decides while one is away, passkeys, and signing out everywhere."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from interlock.api.caller import Caller
from interlock.api.permission import may
from interlock.api.services import Services, services
from interlock.console.pages import page
from interlock.errors import InvalidInput, Refused
from interlock.run.deputising import name_deputy

router = APIRouter(prefix="/account", include_in_schema=False)
Reader = Annotated[Caller, Depends(may("accounts", "read"))]
Writer = Annotated[Caller, Depends(may("accounts", "write"))]
Held = Annotated[Services, Depends(services)]
Text = Annotated[str, Form()]


@router.get("")
def account(request: Request, who: Reader, held: Held) -> Response:
    """Who one is here, and who stands in."""
    return _page(request, who, held)


@router.post("/deputies")
async def name(request: Request, who: Writer, held: Held, to: Text, ends: Text, reason: Text = "") -> Response:
    """Name a deputy until some time."""
    try:
        await asyncio.to_thread(_name, who, held, to, ends, reason)
    except InvalidInput as error:
        wrong = str(error)
        return await asyncio.to_thread(lambda: _page(request, who, held, wrong=wrong))
    return RedirectResponse("/account", status_code=303)


@router.post("/deputies/{deputy}/revoke")
def revoke(deputy: str, who: Writer, held: Held) -> Response:
    """End it now."""
    held.accounts.deputies.revoke(deputy, who.person, who.tenant, now=datetime.now(UTC))
    return RedirectResponse("/account", status_code=303)


def _name(who: Caller, held: Services, to: str, ends: str, reason: str) -> None:
    """Raises InvalidInput: the time or the person does not fit. Refused: a token asks."""
    if who.via != "session":
        raise Refused("a token names no deputies", next_step="sign in, or interlock accounts deputy name")
    try:
        until = datetime.fromisoformat(ends).replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidInput(f"ends: {ends!r} is no time", next_step="like 2026-12-24T18:00, UTC") from error
    signer = held.runs_in(who.tenant).api
    name_deputy(
        held.accounts, held.bundle, signer, person=who.person, tenant=who.tenant, to=to, ends=until, reason=reason
    )


def _page(request: Request, who: Caller, held: Services, *, wrong: str = "") -> Response:
    now = datetime.now(UTC)
    people = held.bundle.people
    known = sorted(one for one in people.tenants if people.is_known(one, who.tenant) and one != who.person)
    open_ = [one for one in held.accounts.deputies.about(who.person, who.tenant) if one.revoked_at is None]
    return page(
        request,
        "account.html",
        who,
        status=422 if wrong else 200,
        names=sorted(people.names_of(who.person) - {who.person}),
        known=known,
        deputies=[one for one in open_ if one.ends_at > now],
        passkeys=held.accounts.passkeys.of(who.person, who.tenant),
        wrong=wrong,
    )
