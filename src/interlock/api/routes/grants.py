"""`/v1/grants`: standing grants, which let calls like one that an approver was shown run for some time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field, JsonValue

from interlock.api.caller import Caller
from interlock.api.cards import pending
from interlock.api.etag import Route
from interlock.api.permission import may
from interlock.api.problems import NotFound
from interlock.api.schemas import Body, Shape, errors
from interlock.api.services import Services, services
from interlock.audit import GrantRow
from interlock.errors import Conflict, InvalidInput, TokenRejected
from interlock.run.revoke_workflow import RevokeOutput
from interlock.run.standing_grants import StandingGrant, all_stated, stated
from interlock.signing import Verifier, load_verifier

router = APIRouter(prefix="/v1", tags=["approvals"], route_class=Route, responses=errors())
Held = Annotated[Services, Depends(services)]
Reader = Annotated[Caller, Depends(may("approvals", "read"))]
Steerer = Annotated[Caller, Depends(may("runs", "control"))]
Decider = Annotated[Caller, Depends(may("approvals", "decide"))]


class GrantShape(Shape):
    """A standing grant, as its giver's signed statement says."""

    id: str
    by: str
    run: str
    request_id: str = Field(description="The request on whose card it was given.")
    route: str
    agent: str
    requester: str = Field(description="For whom such calls run.")
    tool: str
    exact: bool = Field(description="Whether it is for exactly the arguments that were shown; else `when` says.")
    when: list[JsonValue]
    uses: int
    used: int
    made_at: datetime
    ends_at: datetime
    reason: str
    revoked_by: str = Field(description="Empty: nobody.")
    holds: bool = Field(description="Whether it still lets a call run, as far as its own terms say.")


class GiveGrant(Body):
    """What calls like this one may do without asking again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"call_digest": "sha256:" + "0" * 64, "hours": 8, "uses": 20, "reason": "the same ten times a day"},
                {
                    "call_digest": "sha256:" + "0" * 64,
                    "hours": 8,
                    "uses": 20,
                    "reason": "small amounts to the same account",
                    "when": [{"argument": "amount", "le": 10}],
                },
            ]
        }
    )

    call_digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$", description="`call_digest` of the card.")
    hours: int = Field(ge=1, le=24 * 366)
    uses: int = Field(ge=1, le=1_000_000)
    reason: str = Field(min_length=1, max_length=2_000)
    when: list[dict[str, JsonValue]] = Field(
        default_factory=list, max_length=32, description="Conditions on arguments; empty: exactly those shown."
    )


class Given(Shape):
    """A grant that was given."""

    id: str


class Revocation(Body):
    """Why it ends."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "the account was closed"}]})

    reason: str = Field(min_length=1, max_length=2_000)


@router.post("/approvals/{request_id}/grants", status_code=201, responses=errors(404, 409))
async def give(request_id: str, body: GiveGrant, who: Decider, held: Held) -> Given:
    """Give a standing grant on a card: such calls run without asking again, never wider than the route allows."""
    row = await pending(held, who, request_id)
    if body.call_digest != row.call_digest:
        raise Conflict(
            f"{request_id} is about another call than {body.call_digest}", next_step="read its card again"
        )
    given = await held.runs_in(who.tenant).grant(
        row,
        by=who.person,
        lasts=timedelta(hours=body.hours),
        uses=body.uses,
        reason=body.reason,
        when=tuple(body.when),
    )
    return Given(id=given.grant)


@router.get("/grants")
async def grants(who: Reader, held: Held) -> list[GrantShape]:
    """Standing grants of your tenant, oldest first; those that hold no more too."""
    rows = await asyncio.to_thread(held.ledger.grants, who.tenant)
    return [_shape(one) for one in all_stated(rows, _api(held))]


@router.get("/grants/{grant}", responses=errors(404))
async def one(grant: str, who: Reader, held: Held) -> GrantShape:
    """One standing grant."""
    try:
        return _shape(stated(await _row(held, who, grant), _api(held)))
    except TokenRejected as error:
        raise NotFound(f"there is no grant {grant!r}", next_step="GET /v1/grants") from error


@router.post("/grants/{grant}/revocation", responses=errors(404, 409))
async def revoke(grant: str, body: Revocation, who: Steerer, held: Held) -> RevokeOutput:
    """End a standing grant: the next such call asks again. Who gave it may, for whom it is, and approvers."""
    await _row(held, who, grant)
    return await held.runs_in(who.tenant).revoke(grant, by=who.person, reason=body.reason)


async def _row(held: Services, who: Caller, grant: str) -> GrantRow:
    try:
        row = await asyncio.to_thread(held.ledger.grant, grant)
    except InvalidInput:
        row = None
    if row is None or row.tenant != who.tenant:
        raise NotFound(f"there is no grant {grant!r}", next_step="GET /v1/grants")
    return row


def _api(held: Services) -> Verifier:
    return load_verifier(held.settings.keys_folder, "api")


def _shape(one: StandingGrant) -> GrantShape:
    row, claims = one.row, one.claims
    return GrantShape(
        id=row.grant,
        by=claims.sub,
        run=claims.run,
        request_id=claims.request,
        route=claims.route,
        agent=claims.agent,
        requester=claims.requester,
        tool=claims.tool,
        exact=bool(claims.arguments),
        when=list(claims.when),
        uses=claims.uses,
        used=row.used,
        made_at=one.made_at,
        ends_at=one.ends_at,
        reason=claims.reason,
        revoked_by=row.revoked_by,
        holds=one.holds(datetime.now(UTC)),
    )
