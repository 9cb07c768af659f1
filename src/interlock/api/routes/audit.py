"""`/v1/audit`: whether the record of a run holds, what was signed of it, and what alarmed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field

from interlock.api.caller import Caller
from interlock.api.etag import Route
from interlock.api.found import run_row
from interlock.api.permission import may
from interlock.api.schemas import Shape, errors
from interlock.api.services import Services, services
from interlock.audit import verify_run
from interlock.errors import InterlockError, Unreachable
from interlock.run.inbox import verified
from interlock.signing import load_verifier

router = APIRouter(prefix="/v1/audit", tags=["audit"], route_class=Route, responses=errors())
Held = Annotated[Services, Depends(services)]
Reader = Annotated[Caller, Depends(may("audit", "read"))]


class FindingShape(Shape):
    """One thing that is wrong."""

    seq: int = Field(description="The event, or -1 where it is not about one.")
    kind: str
    field: str
    message: str


class Verification(Shape):
    """What verifying a run found."""

    run: str
    ok: bool
    events: int
    head: str
    at: datetime
    findings: list[FindingShape]


class CheckpointShape(Shape):
    """A signed statement of how far a chain reached."""

    count: int
    head: str
    time: datetime
    statement: str = Field(description="The JWS of the ledger's key.")


class AlarmShape(Shape):
    """Something that no honest part does."""

    run: str
    kind: str
    detail: str
    raised_at: datetime


@router.post("/runs/{run}/verification", responses=errors(404))
async def verification(
    run: str, who: Annotated[Caller, Depends(may("audit", "verify"))], held: Held
) -> Verification:
    """Verify a run now: chain, signatures, decisions made again, content, read models, checkpoints.

    Whether Temporal's history gives the same chain is asked by `interlock replay`, which imports the team's code
    and so does not run here.
    """
    row = await run_row(held, who, run)
    found = await asyncio.to_thread(_findings, held, run)
    return Verification(
        run=run, ok=not found, events=row.count, head=row.head, at=datetime.now(UTC), findings=found
    )


def _findings(held: Services, run: str) -> list[FindingShape]:
    try:
        ledger_key = load_verifier(held.settings.keys_folder, "ledger")
    except Unreachable:
        ledger_key = None
    found = [FindingShape.model_validate(one) for one in verify_run(held.ledger, run, held.blobs, ledger_key)]
    try:
        verified(run, held.settings, held.ledger, held.blobs)
    except Unreachable:
        raise
    except InterlockError as error:
        found.append(FindingShape(seq=-1, kind="run", field="proof", message=error.reason))
    return found


@router.get("/runs/{run}/checkpoints", responses=errors(404))
async def checkpoints(run: str, who: Reader, held: Held) -> list[CheckpointShape]:
    """The signed heads of a run's chain, oldest first."""
    await run_row(held, who, run)
    found = await asyncio.to_thread(held.ledger.checkpoints, run)
    return [CheckpointShape.model_validate(one) for one in found]


@router.get("/alarms")
async def alarms(who: Reader, held: Held) -> list[AlarmShape]:
    """What alarmed, of your tenant's runs, oldest first."""
    return await asyncio.to_thread(_alarms, held, who.tenant)


def _alarms(held: Services, tenant: str) -> list[AlarmShape]:
    found = held.ledger.alarms()
    tenants: dict[str, str] = {}
    for run in {one.run for one in found}:
        try:
            tenants[run] = held.ledger.run(run).tenant
        except InterlockError:
            tenants[run] = ""  # of no run that is known: nobody's to read here
    return [AlarmShape.model_validate(one) for one in found if tenants[one.run] == tenant]
