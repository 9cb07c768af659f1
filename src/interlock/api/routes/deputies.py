"""`/v1/me/deputies`: who decides for you while you are away, and for whom you do."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, ConfigDict, Field

from interlock.accounts import Deputy
from interlock.api.caller import Caller
from interlock.api.etag import Route
from interlock.api.permission import may
from interlock.api.problems import NotFound
from interlock.api.schemas import Body, Shape, errors
from interlock.api.services import Services, services
from interlock.errors import InvalidInput, Refused
from interlock.run.deputising import name_deputy

router = APIRouter(prefix="/v1/me/deputies", tags=["me"], route_class=Route, responses=errors())
Held = Annotated[Services, Depends(services)]
Reader = Annotated[Caller, Depends(may("accounts", "read"))]
Writer = Annotated[Caller, Depends(may("accounts", "write"))]


class DeputyShape(Shape):
    """One person standing in for another."""

    id: str
    person: str = Field(description="The approver who is away.")
    to: str = Field(description="Who decides for them, where the route lets that person stand in.")
    begins_at: datetime
    ends_at: datetime
    reason: str
    revoked_at: datetime | None


class NewDeputy(Body):
    """Who is to stand in for you, and until when."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"to": "user:dave", "ends": "2027-01-07T08:00:00Z", "reason": "holidays"}]}
    )

    to: str = Field(max_length=140)
    begins: AwareDatetime | None = Field(default=None, description="Left out: now.")
    ends: AwareDatetime
    reason: str = Field(default="", max_length=2_000)


@router.get("")
async def deputies(who: Reader, held: Held) -> list[DeputyShape]:
    """Those who stand in for you, and those for whom you stand in."""
    found = await asyncio.to_thread(held.accounts.deputies.about, who.person, who.tenant)
    return [_shape(one) for one in found]


@router.post("", status_code=201)
async def name(body: NewDeputy, who: Writer, held: Held) -> DeputyShape:
    """Name somebody who decides for you for some time. Only a signed-in person does."""
    if who.via == "token":
        raise Refused("a token names no deputies", next_step="sign in, or interlock accounts deputy name")
    made = await asyncio.to_thread(
        name_deputy,
        held.accounts,
        held.bundle,
        held.runs.api,
        person=who.person,
        tenant=who.tenant,
        to=body.to,
        begins=body.begins,
        ends=body.ends,
        reason=body.reason,
    )
    return _shape(made)


@router.delete("/{deputy}", responses=errors(404))
async def revoke(deputy: str, who: Writer, held: Held) -> DeputyShape:
    """End it: from now on that person decides for you no more."""
    try:
        ended = await asyncio.to_thread(
            held.accounts.deputies.revoke, deputy, who.person, who.tenant, now=datetime.now(UTC)
        )
    except InvalidInput as error:
        raise NotFound(error.reason, next_step="GET /v1/me/deputies") from error
    return _shape(ended)


def _shape(one: Deputy) -> DeputyShape:
    return DeputyShape(
        id=one.deputy,
        person=one.person,
        to=one.stand_in,
        begins_at=one.begins_at,
        ends_at=one.ends_at,
        reason=one.reason,
        revoked_at=one.revoked_at,
    )
