"""One run: its events in order, each to be opened, its graph, its cost, and what people may do with it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final, Literal, NamedTuple

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from interlock.api.caller import Caller
from interlock.api.permission import may
from interlock.api.problems import NotFound
from interlock.api.services import Services, services
from interlock.audit import RunRow
from interlock.console.drawing import Drawing
from interlock.console.event_detail import detail
from interlock.console.graphs import graph_of
from interlock.console.looking import run_of
from interlock.console.pages import can, fragment, page
from interlock.console.spent import cost
from interlock.errors import InterlockError
from interlock.events import AgentStarted, CallFinished, CallProposed, Event
from interlock.run.catalogue import load_manifest
from interlock.run.erasure import content_of, told
from interlock.run.timeline import Timeline

router = APIRouter(prefix="/runs", include_in_schema=False)
Reader = Annotated[Caller, Depends(may("runs", "read"))]
Controller = Annotated[Caller, Depends(may("runs", "control"))]
Held = Annotated[Services, Depends(services)]
PAGE: Final = 500
"""Events on one page."""
_TONES: Final = {"bold green": "good", "bold red": "bad", "red": "bad", "yellow": "warn"}
_CALLS: Final = ("call.", "approval.", "egress.")


class Step(NamedTuple):
    """One event in the list."""

    event: Event
    who: str
    what: str
    tone: str
    agent: str
    node: str
    """Of the agent's graph; empty where no node acted."""


@router.get("/{run}")
def show(request: Request, run: str, who: Reader, held: Held, start: int = 0) -> Response:
    """The run."""
    row = run_of(held, who, run)
    events = held.ledger.events(run)
    start = max(0, min(start, max(0, len(events) - 1)) // PAGE * PAGE)
    erased = held.ledger.erasure(run)
    origin = held.ledger.origin(run)
    return page(
        request,
        "run.html",
        who,
        here="Runs",
        row=row,
        steps=_steps(held, run, events, start),
        start=start,
        size=PAGE,
        cost=cost(events),
        graphs=_graphs(held, row, events),
        artifacts=[(e, one) for e in events if isinstance(e, CallFinished) for one in e.artifacts],
        requests=held.ledger.approvals(state=None, run=run),
        parent=origin.run if origin else "",
        children=[one.child for one in held.ledger.hand_offs(run)],
        erased=told(erased) if erased else "",
        alarms=held.ledger.alarms(run),
        controls=can(held, who, "runs", "control"),
    )


@router.get("/{run}/news")
def news(run: str, who: Reader, held: Held, count: int = 0, status: str = "") -> Response:
    """Whether the run went on since the page was made."""
    row = run_of(held, who, run)
    if row.count == count and row.status == status:
        return Response(status_code=204)
    return fragment("news.html", who, row=row, count=count)


@router.get("/{run}/events/{seq}")
def event(request: Request, run: str, seq: int, who: Reader, held: Held) -> Response:
    """One event, whole: as a part of the run's page, or as a page of its own."""
    run_of(held, who, run)
    events = held.ledger.events(run)
    if not 0 <= seq < len(events):
        raise NotFound(f"run {run!r} has no event {seq}", next_step="open the run")
    found = detail(events[seq], events, content_of(held.ledger, held.blobs, run))
    if request.headers.get("hx-request"):
        return fragment("event.html", who, found=found)
    return page(request, "event_page.html", who, here="Runs", run=run, found=found)


@router.post("/{run}/control")
async def control(
    run: str,
    who: Controller,
    held: Held,
    verb: Annotated[Literal["pause", "resume", "cancel"], Form()],
    reason: Annotated[str, Form()] = "",
) -> Response:
    """Pause, resume or cancel the run."""
    await asyncio.to_thread(run_of, held, who, run)
    await held.runs_in(who.tenant).control(run, verb, by=who.person, reason=reason.strip())
    return RedirectResponse(f"/runs/{run}", status_code=303)


def _steps(held: Services, run: str, events: list[Event], start: int) -> list[Step]:
    words = Timeline(content_of(held.ledger, held.blobs, run))
    agent = ""
    for one in events[:start]:
        if isinstance(one, CallProposed):
            words.calls[one.call_id] = one
        agent = getattr(one, "agent", agent)
    found = []
    for one in events[start : start + PAGE]:
        agent = getattr(one, "agent", agent)
        by, what = words.told(one)
        tone = _TONES.get(words.style(one), "")
        found.append(Step(one, by, what, tone, agent.removeprefix("agent:"), _node(one)))
    return found


def _node(event: Event) -> str:
    if event.kind == "model.responded":
        return "model"
    if event.kind.startswith(_CALLS):
        return "act"
    return {"agent.started": "__start__", "agent.finished": "__end__"}.get(event.kind, "")


def _graphs(held: Services, row: RunRow, events: list[Event]) -> list[tuple[str, Drawing]]:
    """The graphs of the agents that acted, as the run pins them."""
    names = dict.fromkeys(e.agent.removeprefix("agent:") for e in events if isinstance(e, AgentStarted))
    try:
        agents: dict[str, Any] = dict(load_manifest(held.blobs, row.manifest).agents)
    except (InterlockError, ValueError):
        return []
    made = ((name, graph_of(held, name, agents[name])) for name in names if name in agents)
    return [(name, drawing) for name, drawing in made if drawing is not None]
