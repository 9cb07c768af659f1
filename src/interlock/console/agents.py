"""Agents: what each is, and what it may do."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from interlock.api.caller import Caller
from interlock.api.permission import may
from interlock.api.problems import NotFound
from interlock.api.services import Services, services
from interlock.console.graphs import graph_of
from interlock.console.manifest import known, versions
from interlock.console.outcome import read
from interlock.console.pages import page
from interlock.definitions import Manifest
from interlock.policy.reach import Reach, can
from interlock.policy.survey import Survey
from interlock.run.catalogue import built_in
from interlock.run.contracts import BUILT_IN_TOOLS

router = APIRouter(prefix="/agents", include_in_schema=False)
Reader = Annotated[Caller, Depends(may("agents", "read"))]
Held = Annotated[Services, Depends(services)]


@router.get("")
async def agents(request: Request, who: Reader, held: Held) -> Response:
    """All agents."""
    found = await known(held, who)
    listed = dict(sorted(found.manifest.agents.items())) if found.manifest else {}
    return await asyncio.to_thread(page, request, "agents.html", who, here="Agents", agents=listed, note=found.note)


@router.get("/{name}")
async def agent(request: Request, name: str, who: Reader, held: Held) -> Response:
    """One agent."""
    found = await known(held, who)
    if found.manifest is None or name not in found.manifest.agents:
        raise NotFound(f"there is no agent {name!r}", next_step="open Agents to see which there are")
    return await asyncio.to_thread(_agent, request, name, who, held, found.manifest, found.note)


def survey_of(held: Services, who: Caller, manifest: Manifest) -> Survey:
    """The policy in force, about the agents and tools of a manifest."""
    actions = {name: built_in(name).schema_.action for name in BUILT_IN_TOOLS}
    actions |= {name: entry.schema_.action for name, entry in manifest.tools.items()}
    return Survey(
        held.bundle,
        who.tenant,
        datetime.now(UTC).date(),
        project_agents=[f"agent:{name}" for name in manifest.agents],
        project_tools=actions,
    )


def lacks(manifest: Manifest, one: Reach) -> bool:
    """Whether the project does not give the agent this tool, so that it cannot even propose the call."""
    if "*" in one.tool or one.tool.startswith("interlock."):
        return False
    entry = manifest.agents.get(one.agent.removeprefix("agent:"))
    return entry is None or one.tool not in entry.tools


def _agent(request: Request, name: str, who: Caller, held: Services, manifest: Manifest, note: str) -> Response:
    entry = manifest.agents[name]
    survey = survey_of(held, who, manifest)
    subject = f"agent:{name}"
    reach: list[tuple[Reach, bool]] = [
        (one, lacks(manifest, one)) for one in can(survey, subject) if one.agent == subject
    ]
    granted = {one.tool for one, _ in reach}
    given: dict[str, Any] = {
        "name": name,
        "agent": entry,
        "prompt": read(entry.prompt, held.blobs),
        "drawing": graph_of(held, name, entry),
        "versions": versions(held, who, manifest, agent=name),
        "reach": reach,
        "denied": [tool for tool in entry.tools if tool not in granted],
        "everybody": set(survey.users),
        "bundle": held.bundle.digest,
        "note": note,
    }
    return page(request, "agent.html", who, here="Agents", **given)
