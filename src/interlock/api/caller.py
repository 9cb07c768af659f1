"""Who asks: the person behind a session or a token, as the policy in force knows them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from fastapi import Depends, Request

from interlock.api.attempts import failed
from interlock.api.cookies import Cookies
from interlock.api.problems import Unauthenticated
from interlock.api.services import Services, services
from interlock.errors import Refused, TokenRejected

SAFE: Final = ("GET", "HEAD", "OPTIONS")
CSRF_HEADER: Final = "x-csrf-token"
CSRF_FIELD: Final = "csrf"
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True)
class Caller:
    """One authenticated person."""

    person: str
    """`user:alice`."""
    tenant: str
    via: Literal["session", "token"]
    csrf: str = ""
    """What forms and scripts of this session send along; empty for a token, which no browser sends by itself."""
    scopes: frozenset[str] | None = None
    """`noun:action` that a token is for; None: whatever the person may do."""
    key: str = ""
    """Which session or token."""


async def caller(request: Request, held: Annotated[Services, Depends(services)]) -> Caller:
    """The dependency that says who asks. Of a session, requests that change something must carry its token.

    Raises:
        Unauthenticated: nobody is signed in; pages are sent to the sign-in page.
        TooMany: tokens that do not hold came from this address too often.
        Refused: another site's page may have sent this.
    """
    bearer = _bearer(request)
    found = await _by_session(request, held) if bearer is None else await _by_token(request, held, bearer)
    if found is None:
        raise Unauthenticated("nobody is signed in", next_step="sign in, or send Authorization: Bearer TOKEN")
    if found.tenant != held.settings.tenant or not held.bundle.people.is_known(found.person, found.tenant):
        raise Unauthenticated(f"the policy does not know {found.person!r} in tenant {held.settings.tenant!r}")
    return found


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def _by_token(request: Request, held: Services, text: str) -> Caller:
    now = datetime.now(UTC)
    try:
        token = await asyncio.to_thread(held.accounts.tokens.find, text, now=now)
    except TokenRejected as error:
        await failed(request, held)
        raise Unauthenticated(error.reason, next_step=error.next_step) from error
    return Caller(token.person, token.tenant, "token", scopes=token.scopes, key=token.token)


async def _by_session(request: Request, held: Services) -> Caller | None:
    cookies: Cookies = request.app.state.cookies
    secret = cookies.session(request)
    if secret is None:
        return None
    session = await asyncio.to_thread(held.accounts.sessions.find, secret, now=datetime.now(UTC))
    if session is None:
        return None
    if request.method not in SAFE and not cookies.is_csrf(secret, await _csrf(request)):
        raise Refused(
            "this request does not carry its session's token, so another site's page may have sent it",
            next_step="load the page again and repeat",
        )
    return Caller(session.person, session.tenant, "session", csrf=cookies.csrf(secret), key=session.key)


async def _csrf(request: Request) -> str:
    if given := request.headers.get(CSRF_HEADER):
        return given
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() in _FORMS:
        value = (await request.form()).get(CSRF_FIELD, "")
        return value if isinstance(value, str) else ""
    return ""
