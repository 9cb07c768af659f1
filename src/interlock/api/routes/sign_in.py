"""Signing in and out in a browser. The link's page asks once more, since programs open links before people do."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from interlock.accounts.links import PATH
from interlock.accounts.secret import hashed
from interlock.accounts.sessions import Via
from interlock.api import attempts
from interlock.api.caller import Caller, caller
from interlock.api.cookies import Cookies
from interlock.api.page import framed
from interlock.api.services import Services, services
from interlock.errors import Refused, TokenRejected

router = APIRouter(include_in_schema=False)


def own_path(text: str) -> str:
    """Where to go after signing in: a path of this server, never an address elsewhere."""
    parts = urlsplit(text)
    plain = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if plain and not parts.scheme and not parts.netloc and "\\" not in text else "/"


@router.get("/sign-in")
async def sign_in(request: Request, next: str = "/") -> Response:
    """How to sign in here."""
    return framed(request, "sign_in.html", "Sign in", next=own_path(next))


@router.get(PATH)
async def look(
    request: Request, held: Annotated[Services, Depends(services)], code: str = "", next: str = "/"
) -> Response:
    """Whom a link signs in."""
    try:
        link = await asyncio.to_thread(held.accounts.links.look, code, now=datetime.now(UTC))
    except TokenRejected as error:
        return _refused(request, error)
    return framed(request, "sign_in.html", "Sign in", link_person=link.person, code=code, next=own_path(next))


@router.post(PATH)
async def use(
    request: Request,
    held: Annotated[Services, Depends(services)],
    code: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Sign in by a link."""
    account = hashed(code)
    await attempts.check(request, held, account)
    try:
        link = await asyncio.to_thread(held.accounts.links.use, code, now=datetime.now(UTC))
        if not held.bundle.people.is_known(link.person, link.tenant):
            raise Refused(f"the policy does not know {link.person!r} in tenant {link.tenant!r}")
    except (TokenRejected, Refused) as error:
        await attempts.failed(request, held, account)
        return _refused(request, error)
    return await signed_in(request, held, link.person, link.tenant, "link", next)


async def signed_in(
    request: Request, held: Services, person: str, tenant: str, via: Via, next_: str
) -> RedirectResponse:
    """A new session for a person, in place of one that the browser may have."""
    cookies: Cookies = request.app.state.cookies
    now = datetime.now(UTC)
    if old := cookies.session(request):
        session = await asyncio.to_thread(held.accounts.sessions.find, old, now=now)
        if session is not None:
            await asyncio.to_thread(held.accounts.sessions.end, session)
    secret = await asyncio.to_thread(held.accounts.sessions.start, person, tenant, via, now=now)
    answer = RedirectResponse(own_path(next_), status_code=303)
    cookies.keep(answer, secret, seconds=held.settings.session_life_h * 3600)
    return answer


@router.post("/sign-out")
async def sign_out(
    request: Request,
    who: Annotated[Caller, Depends(caller)],
    held: Annotated[Services, Depends(services)],
    everywhere: Annotated[bool, Form()] = False,
) -> Response:
    """End this session, or all of the person's."""
    cookies: Cookies = request.app.state.cookies
    secret, now = cookies.session(request) or "", datetime.now(UTC)
    session = await asyncio.to_thread(held.accounts.sessions.find, secret, now=now)
    if everywhere:
        await asyncio.to_thread(held.accounts.sessions.end_all, who.person, who.tenant)
    elif session is not None:
        await asyncio.to_thread(held.accounts.sessions.end, session)
    answer = RedirectResponse("/sign-in", status_code=303)
    cookies.forget(answer)
    return answer


def _refused(request: Request, error: Refused) -> Response:
    said = f"{error.reason}. {error.next_step}".strip()
    return framed(request, "sign_in.html", "Sign in", status=403, refused=said, next="/")
