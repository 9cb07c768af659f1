"""`/v1/me/passkeys`: the authenticators by which you sign decisions."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field

from interlock.accounts.passkeys import Passkey
from interlock.api.caller import Caller
from interlock.api.etag import Route
from interlock.api.permission import may
from interlock.api.problems import NotFound
from interlock.api.relying_party import RelyingParty
from interlock.api.schemas import Body, Shape, errors
from interlock.api.services import Services, services
from interlock.approval.tokens import PasskeyClaims
from interlock.errors import InvalidInput, Refused

router = APIRouter(prefix="/v1/me/passkeys", tags=["me"], route_class=Route, responses=errors())
Held = Annotated[Services, Depends(services)]
Reader = Annotated[Caller, Depends(may("accounts", "read"))]
Writer = Annotated[Caller, Depends(may("accounts", "write"))]


class PasskeyShape(Shape):
    """A registered passkey."""

    id: str
    name: str
    public_key: str = Field(description="COSE key, base64url: what `passkeys` of a user in permissions/ names.")
    made_at: datetime
    used_at: datetime | None


class Ceremony(Shape):
    """A registration that was begun."""

    ceremony: str = Field(description="Send it back with what the authenticator answers.")
    options: dict[str, Any] = Field(description="For `navigator.credentials.create({publicKey: …})`.")


class NewPasskey(Body):
    """What the authenticator answered."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "ceremony": "Zm9v",
                    "name": "my phone",
                    "credential": {"id": "…", "rawId": "…", "type": "public-key", "response": {}},
                }
            ]
        }
    )

    ceremony: str = Field(max_length=64)
    name: str = Field(min_length=1, max_length=100)
    credential: dict[str, Any] = Field(description="The credential, as `toJSON()` gives it.")


@router.get("")
async def passkeys(who: Reader, held: Held) -> list[PasskeyShape]:
    """Your passkeys."""
    found = await asyncio.to_thread(held.accounts.passkeys.of, who.person, who.tenant)
    return [_shape(one) for one in found]


@router.post("/options")
async def options(who: Writer, held: Held) -> Ceremony:
    """Begin the registration of a passkey. Only a signed-in person does."""
    _signed_in(who)
    party = RelyingParty.of(held.settings)
    known = await asyncio.to_thread(held.accounts.passkeys.of, who.person, who.tenant)
    told, challenge = party.registration(who.person, known)
    ceremony = await asyncio.to_thread(
        held.accounts.passkeys.begin, who.person, who.tenant, challenge, now=datetime.now(UTC)
    )
    return Ceremony(ceremony=ceremony, options=told)


@router.post("", status_code=201, responses=errors(409))
async def register(body: NewPasskey, who: Writer, held: Held) -> PasskeyShape:
    """End the registration of a passkey."""
    _signed_in(who)
    party, kept = RelyingParty.of(held.settings), held.accounts.passkeys
    now = datetime.now(UTC)
    challenge = await asyncio.to_thread(kept.challenge, body.ceremony, who.person, who.tenant, now=now)
    claims, statement, count = party.registered(
        body.credential, challenge, person=who.person, tenant=who.tenant, api=held.runs.api
    )
    made = await asyncio.to_thread(
        kept.add,
        claims.credential,
        who.person,
        who.tenant,
        name=body.name,
        statement=statement,
        sign_count=count,
        now=now,
    )
    return _shape(made)


@router.delete("/{passkey}", status_code=204, responses=errors(404))
async def remove(passkey: str, who: Writer, held: Held) -> None:
    """Remove a passkey: it signs no more decisions. What it signed stays verifiable."""
    _signed_in(who)
    try:
        await asyncio.to_thread(held.accounts.passkeys.remove, passkey, who.person, who.tenant)
    except InvalidInput as error:
        raise NotFound(error.reason, next_step="GET /v1/me/passkeys") from error


def _signed_in(who: Caller) -> None:
    if who.via == "token":
        raise Refused("a token has no passkeys", next_step="sign in")


def _shape(one: Passkey) -> PasskeyShape:
    key = PasskeyClaims.peek(one.statement).public_key
    return PasskeyShape(id=one.credential, name=one.name, public_key=key, made_at=one.made_at, used_at=one.used_at)
