"""`/v1/agents`: the project's agents, as a run that starts now would have them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field

from interlock.api.caller import Caller
from interlock.api.etag import Route
from interlock.api.permission import may
from interlock.api.problems import NotFound
from interlock.api.schemas import Shape, errors
from interlock.api.services import Services, services
from interlock.definitions import AgentEntry

router = APIRouter(prefix="/v1/agents", tags=["agents"], route_class=Route, responses=errors())
Held = Annotated[Services, Depends(services)]
Reader = Annotated[Caller, Depends(may("agents", "read"))]


class AgentShape(Shape):
    """An agent."""

    name: str = Field(examples=["fixer"])
    source: str = Field(description="Digest of its file.")
    prompt: str = Field(description="Digest of its prompt.")
    graph: str = Field(description="Digest of its graph.")
    model: str
    tools: list[str]
    hand_off: list[str] = Field(description="The agents that it may hand work on to.")
    max_steps: int
    max_tokens: int
    custom: bool = Field(description="Whether it brings a graph of its own.")


class Agents(Shape):
    """The agents of a manifest."""

    manifest: str
    agents: list[AgentShape]


@router.get("")
async def agents(who: Reader, held: Held) -> Agents:
    """The project's agents, by name."""
    manifest = await held.project.manifest()
    found = [_agent(name, entry) for name, entry in sorted(manifest.agents.items())]
    return Agents(manifest=manifest.digest, agents=found)


@router.get("/{name}", responses=errors(404))
async def agent(name: str, who: Reader, held: Held) -> AgentShape:
    """One agent."""
    entry = (await held.project.manifest()).agents.get(name)
    if entry is None:
        raise NotFound(f"there is no agent {name!r}", next_step="GET /v1/agents")
    return _agent(name, entry)


def _agent(name: str, entry: AgentEntry) -> AgentShape:
    return AgentShape(
        name=name,
        source=entry.source,
        prompt=entry.prompt,
        graph=entry.graph,
        model=entry.model,
        tools=list(entry.tools),
        hand_off=list(entry.hand_off),
        max_steps=entry.max_steps,
        max_tokens=entry.max_tokens,
        custom=entry.custom,
    )
