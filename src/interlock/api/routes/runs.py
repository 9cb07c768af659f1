"""`/v1/runs`: what runs, and starting, steering and ending it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import ConfigDict, Field, JsonValue

from interlock.api.caller import Caller
from interlock.api.etag import Route
from interlock.api.found import run_row
from interlock.api.idempotency import key_of
from interlock.api.permission import may
from interlock.api.schemas import Body, Cursor, Limit, Shape, errors
from interlock.api.services import Services, services
from interlock.audit import RunRow, RunStatus
from interlock.errors import Conflict, InterlockError
from interlock.run.asked_for import asked_for
from interlock.run.client import new_run
from interlock.run.contracts import RunState, SignalOutput
from interlock.run.erase_workflow import EraseOutput
from interlock.run.starting_files import kept_files
from interlock.types.names import RUN_PATTERN

router = APIRouter(prefix="/v1/runs", tags=["runs"], route_class=Route, responses=errors())
Held = Annotated[Services, Depends(services)]
Reader = Annotated[Caller, Depends(may("runs", "read"))]
Starter = Annotated[Caller, Depends(may("runs", "start"))]
Steerer = Annotated[Caller, Depends(may("runs", "control"))]
_EVENTS = 500


class RunShape(Shape):
    """A run, as the ledger tells it."""

    run: str = Field(examples=["fix-issue-20261130-101500-3f9a1c"])
    workflow: str = Field(examples=["fix_issue"])
    requester: str = Field(examples=["user:alice"])
    status: RunStatus
    detail: str = Field(description="Why it failed or was cancelled; else empty.")
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    waiting: int = Field(description="Approval requests that wait.")
    count: int = Field(description="Events on record.")
    head: str = Field(description="Hash of the last of them.")
    manifest: str
    result: str = Field(description="Digest of the result, or empty.")


class RunPage(Shape):
    """Some runs."""

    runs: list[RunShape]
    next: str = Field(description="`cursor` of the next page; empty where this is the last.")


class OneRun(RunShape):
    """A run and the runs around it."""

    parent: str = Field(description="The run that handed this work on; empty where a person started it.")
    children: list[str] = Field(description="The runs to which it handed work on.")
    held_up: list[str] = Field(description="Why an open run does not go on, as far as Temporal says.")


class StartRun(Body):
    """What to start."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "triage", "input": "Find out why the nightly job failed."},
                {
                    "name": "fix_issue",
                    "input": {"title": "average of nothing", "text": "Division by zero in source/average.py"},
                    "files": {"source/average.py": "def average(values):\n    return sum(values) / len(values)\n"},
                },
            ]
        }
    )

    name: str = Field(max_length=128, description="A workflow, or an agent.")
    input: JsonValue = Field(default=None, description="The workflow's input, or the agent's task.")
    files: dict[str, str] = Field(
        default_factory=dict, description="The files that it starts from: path to text in UTF-8."
    )
    run: str = Field(
        default="", pattern=f"^$|{RUN_PATTERN}", description="The run's id; left out: one is made of the name."
    )


class Started(Shape):
    """A run that was started."""

    run: str


class Control(Body):
    """What to do with it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"verb": "pause", "reason": "the build is red"}]})

    verb: Literal["pause", "resume", "cancel"]
    reason: str = Field(default="", max_length=2000)


class Signal(Body):
    """A value that its workflow listens to."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "more_context", "value": "see issue 12"}]})

    name: str = Field(max_length=64)
    value: JsonValue = None


class Erasure(Body):
    """Why its content is to be erased."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "request 17 of a data subject"}]})

    reason: str = Field(min_length=1, max_length=2000)


class EventPage(Shape):
    """Some events of a run, in order. Content is in them by digest alone."""

    events: list[dict[str, Any]]
    next: int = Field(description="`after` for the next page; -1 where this is the last.")


@router.get("")
async def list_runs(
    who: Reader,
    held: Held,
    status: RunStatus | None = None,
    workflow: Annotated[str, Query(max_length=128)] = "",
    requester: Annotated[str, Query(max_length=140)] = "",
    text: Annotated[str, Query(max_length=128, description="A part of the id.")] = "",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> RunPage:
    """Runs, newest first."""
    rows = await asyncio.to_thread(
        held.ledger.find_runs,
        limit,
        cursor,
        tenant=who.tenant,
        status=status,
        workflow=workflow,
        requester=requester,
        text=text,
    )
    following = rows[-1].cursor if len(rows) == limit else ""
    return RunPage(runs=[RunShape.model_validate(row) for row in rows], next=following)


@router.post("", status_code=201, responses=errors(409))
async def start(body: StartRun, request: Request, response: Response, who: Starter, held: Held) -> Started:
    """Start a run of a workflow or of an agent. You are its requester, and so decide on none of its requests."""
    manifest = await held.project.manifest(fresh=True)
    workflow, _ = asked_for(manifest, body.name, body.input)
    key = key_of(request, who)
    # Named by its key, so that a request which is repeated after a crash starts nothing a second time.
    run = body.run or (f"{workflow}-{key[:24]}".replace("_", "-") if key else new_run(workflow))
    client = held.runs_in(who.tenant)
    workspace = await asyncio.to_thread(kept_files, body.files, client.blobs.of(run)) if body.files else ""
    try:
        await client.start(manifest, body.name, body.input, requester=who.person, workspace=workspace, run=run)
    except Conflict:
        if not key or body.run:
            raise
    response.headers["location"] = f"/v1/runs/{run}"
    return Started(run=run)


@router.get("/{run}", responses=errors(404))
async def get(run: str, who: Reader, held: Held) -> OneRun:
    """One run."""
    row = await run_row(held, who, run)
    origin = await asyncio.to_thread(held.ledger.origin, run)
    children = await asyncio.to_thread(held.ledger.hand_offs, run)
    return OneRun(
        **RunShape.model_validate(row).model_dump(),
        parent=origin.run if origin else "",
        children=[one.child for one in children],
        held_up=[] if row.ended else await _held_up(held, row),
    )


async def _held_up(held: Services, row: RunRow) -> list[str]:
    try:
        return await held.runs.obstacles(row.run)
    except InterlockError:
        return []


@router.get("/{run}/events", responses=errors(404))
async def events(
    run: str,
    who: Reader,
    held: Held,
    after: Annotated[int, Query(ge=-1, le=2**53, description="The events behind this one.")] = -1,
) -> EventPage:
    """A run's events, in order, as they are on record; nothing of them is checked here (see `/v1/audit`)."""
    await run_row(held, who, run)
    found = await asyncio.to_thread(held.ledger.events, run, after)
    page = found[:_EVENTS]
    following = page[-1].seq if len(found) > len(page) else -1
    return EventPage(events=[event.model_dump(mode="json") for event in page], next=following)


@router.get(
    "/{run}/record",
    response_class=PlainTextResponse,
    responses={**errors(404), 200: {"content": {"application/jsonl": {}}, "description": "One event a line."}},
)
async def record(run: str, who: Annotated[Caller, Depends(may("runs", "export"))], held: Held) -> Response:
    """A run's events as they are stored: canonical bytes, one a line, each with the hash of the one before."""
    await run_row(held, who, run)
    lines = await asyncio.to_thread(held.ledger.raw_events, run)
    return Response(b"".join(line + b"\n" for line in lines), media_type="application/jsonl")


@router.post("/{run}/control", responses=errors(404, 409))
async def control(run: str, body: Control, who: Steerer, held: Held) -> RunState:
    """Pause, resume or cancel a run."""
    await _open(held, who, run)
    return await held.runs_in(who.tenant).control(run, body.verb, by=who.person, reason=body.reason)


@router.post("/{run}/signals", responses=errors(404, 409))
async def signal(run: str, body: Signal, who: Steerer, held: Held) -> SignalOutput:
    """Send a run a value under a name that its workflow listens to."""
    await _open(held, who, run)
    return await held.runs_in(who.tenant).signal(run, body.name, body.value, by=who.person)


@router.post("/{run}/erasure", responses=errors(404, 409))
async def erase(
    run: str, body: Erasure, who: Annotated[Caller, Depends(may("runs", "erase"))], held: Held
) -> EraseOutput:
    """Erase the content of an ended run: what it read and wrote. That it ran, and what was decided, stays."""
    await run_row(held, who, run)
    return await held.runs_in(who.tenant).erase(run, by=who.person, reason=body.reason)


async def _open(held: Services, who: Caller, run: str) -> None:
    row = await run_row(held, who, run)
    if row.ended:
        raise Conflict(f"run {run!r} has ended: {row.status}")
