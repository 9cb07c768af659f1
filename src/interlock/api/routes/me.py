"""`/v1/me`: who the caller is, in which browsers they are signed in, and their tokens."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import ConfigDict, Field

from interlock.accounts import Session, Token
from interlock.api.caller import Caller
from interlock.api.etag import Route
from interlock.api.idempotency import HEADER
from interlock.api.permission import may
from interlock.api.problems import NotFound
from interlock.api.schemas import Body, Shape, errors
from interlock.api.services import Services, services
from interlock.errors import InvalidInput, Refused
from interlock.run.people import scopes_of

router = APIRouter(prefix="/v1/me", tags=["me"], route_class=Route, responses=errors())
Held = Annotated[Services, Depends(services)]
Reader = Annotated[Caller, Depends(may("accounts", "read"))]
Writer = Annotated[Caller, Depends(may("accounts", "write"))]


class Me(Shape):
    """The caller."""

    person: str = Field(examples=["user:alice"])
    tenant: str = Field(examples=["default"])
    via: str = Field(description="`session` or `token`.", examples=["session"])
    names: list[str] = Field(
        description="Groups and roles, sorted.", examples=[["group:developers", "role:engineer"]]
    )


class SignInShape(Shape):
    """A browser that is signed in."""

    id: str
    via: str = Field(description="How it was signed in: `link` or `oidc`.")
    started_at: datetime
    seen_at: datetime
    expires_at: datetime
    this: bool = Field(description="Whether the request came from this one.")


class TokenShape(Shape):
    """A token, without its secret."""

    id: str
    name: str
    scopes: list[str] = Field(examples=[["approvals:read", "runs:read"]])
    made_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


class NewToken(Body):
    """What a token is to be."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "nightly report", "scopes": ["runs:read", "audit:read"], "days": 30}]
        }
    )

    name: str = Field(min_length=1, max_length=100, description="What it is for.")
    scopes: list[str] = Field(min_length=1, max_length=64, description="`noun:action`; all that it may do.")
    days: int = Field(default=30, ge=1, le=366, description="How long it holds.")


class MadeToken(TokenShape):
    """A token that was just made."""

    secret: str = Field(description="Send it as `Authorization: Bearer …`. It is shown this once.")


class Ended(Shape):
    """How many were ended."""

    ended: int


@router.get("")
async def me(who: Reader, held: Held) -> Me:
    """Who you are to the policy."""
    names = sorted(held.bundle.people.names_of(who.person) - {who.person})
    return Me(person=who.person, tenant=who.tenant, via=who.via, names=names)


@router.get("/sign-ins")
async def sign_ins(who: Reader, held: Held) -> list[SignInShape]:
    """The browsers in which you are signed in."""
    found = await asyncio.to_thread(held.accounts.sessions.of, who.person, who.tenant, now=datetime.now(UTC))
    return [_session(one, who) for one in found]


@router.delete("/sign-ins")
async def end_all(who: Writer, held: Held) -> Ended:
    """Sign out everywhere, here too."""
    count = await asyncio.to_thread(held.accounts.sessions.end_all, who.person, who.tenant)
    return Ended(ended=count)


@router.delete("/sign-ins/{sign_in}", responses=errors(404))
async def end(sign_in: str, who: Writer, held: Held) -> Ended:
    """Sign one browser out."""
    found = await asyncio.to_thread(held.accounts.sessions.of, who.person, who.tenant, now=datetime.now(UTC))
    own = next((one for one in found if one.key == sign_in), None)
    if own is None:
        raise NotFound(f"you are signed in nowhere as {sign_in!r}", next_step="GET /v1/me/sign-ins")
    await asyncio.to_thread(held.accounts.sessions.end, own)
    return Ended(ended=1)


@router.get("/tokens")
async def tokens(who: Reader, held: Held) -> list[TokenShape]:
    """Your tokens, those that hold no more too."""
    found = await asyncio.to_thread(held.accounts.tokens.of, who.person, who.tenant)
    return [_token(one) for one in found]


@router.post("/tokens", status_code=201)
async def make_token(body: NewToken, request: Request, who: Writer, held: Held) -> MadeToken:
    """Make a token. It does what you may do and its scopes name, and no more; only a signed-in person makes one."""
    if who.via == "token":
        raise Refused("a token makes no tokens", next_step="sign in, or interlock accounts token new")
    if HEADER in request.headers:
        raise InvalidInput("Idempotency-Key: not here, since the answer holds a secret and is not kept")
    token, secret = await asyncio.to_thread(
        held.accounts.tokens.make,
        who.person,
        who.tenant,
        name=body.name,
        scopes=scopes_of(body.scopes),
        now=datetime.now(UTC),
        life=timedelta(days=body.days),
    )
    return MadeToken(**_token(token).model_dump(), secret=secret)


@router.delete("/tokens/{token}", responses=errors(404))
async def revoke(token: str, who: Writer, held: Held) -> TokenShape:
    """Revoke a token. Again changes nothing."""
    try:
        ended = await asyncio.to_thread(
            held.accounts.tokens.revoke, token, who.person, who.tenant, now=datetime.now(UTC)
        )
    except InvalidInput as error:
        raise NotFound(error.reason, next_step="GET /v1/me/tokens") from error
    return _token(ended)


def _session(one: Session, who: Caller) -> SignInShape:
    return SignInShape(
        id=one.key,
        via=one.via,
        started_at=one.started_at,
        seen_at=one.seen_at,
        expires_at=one.expires_at,
        this=one.key == who.key,
    )


def _token(one: Token) -> TokenShape:
    return TokenShape(
        id=one.token,
        name=one.name,
        scopes=sorted(one.scopes),
        made_at=one.made_at,
        expires_at=one.expires_at,
        used_at=one.used_at,
        revoked_at=one.revoked_at,
    )
