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
from interlock.api.oidc import CALLBACK, START, IdentityProvider
from interlock.api.page import framed
from interlock.api.problems import NotFound
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
    return framed(request, "sign_in.html", "Sign in", next=own_path(next), oidc=_provider_name(request))


@router.get(START)
async def start(request: Request, held: Annotated[Services, Depends(services)], next: str = "/") -> Response:
    """Go to the identity provider. A link and not a form, so that forms need lead nowhere else."""
    await attempts.check(request, held)
    return await _provider(request).start(request, own_path(next))


@router.get(CALLBACK)
async def finish(request: Request, held: Annotated[Services, Depends(services)]) -> Response:
    """Come back from the identity provider."""
    await attempts.check(request, held)
    provider, person = _provider(request), ""
    try:
        person, next_ = await provider.finish(request)
        _known(held, person, held.settings.tenant)
    except Refused as error:
        await attempts.failed(request, held, person)
        answer = _refused(request, error)
    else:
        answer = await signed_in(request, held, person, held.settings.tenant, "oidc", next_)
    provider.forget(answer)
    return answer


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
        _known(held, link.person, link.tenant)
    except Refused as error:
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


def _known(held: Services, person: str, tenant: str) -> None:
    """Raises Refused where the policy in force knows no such person here."""
    if tenant != held.settings.tenant or not held.bundle.people.is_known(person, tenant):
        raise Refused(
            f"you are {person}, and the policy knows nobody of this name in tenant {held.settings.tenant!r}",
            next_step="ask the owner of permissions/people.yaml to add you",
        )


def _provider(request: Request) -> IdentityProvider:
    found: IdentityProvider | None = request.app.state.provider
    if found is None:
        raise NotFound("there is no identity provider here", next_step="open a sign-in link")
    return found


def _provider_name(request: Request) -> str:
    found: IdentityProvider | None = request.app.state.provider
    return urlsplit(found.settings.oidc_issuer).hostname or "" if found is not None else ""


def _refused(request: Request, error: Refused) -> Response:
    said = f"{error.reason}. {error.next_step}".strip()
    name = _provider_name(request)
    return framed(request, "sign_in.html", "Sign in", status=403, refused=said, next="/", oidc=name)
