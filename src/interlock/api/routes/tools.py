"""`/v1/tools`: the project's tools, as a run that starts now would have them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field, JsonValue

from interlock.api.caller import Caller
from interlock.api.etag import Route
from interlock.api.permission import may
from interlock.api.problems import NotFound
from interlock.api.schemas import Shape, errors
from interlock.api.services import Services, services
from interlock.definitions import ToolEntry

router = APIRouter(prefix="/v1/tools", tags=["tools"], route_class=Route, responses=errors())
Held = Annotated[Services, Depends(services)]
Reader = Annotated[Caller, Depends(may("tools", "read"))]


class ToolShape(Shape):
    """A tool."""

    name: str = Field(examples=["edit_file"])
    source: str = Field(description="Digest of its source: what runs in the sandbox.")
    kind: str
    description: str = Field(description="What the model reads.")
    parameters: dict[str, JsonValue] = Field(description="JSON Schema of the arguments.")
    action: str
    resource: str
    workspace: str
    effects: str
    idempotent: bool
    profile: str
    flow: str
    emits: list[str]
    credentials: list[str]


class Tools(Shape):
    """The tools of a manifest."""

    manifest: str
    tools: list[ToolShape]


@router.get("")
async def tools(who: Reader, held: Held) -> Tools:
    """The project's tools, by name."""
    manifest = await held.project.manifest()
    found = [_tool(name, entry) for name, entry in sorted(manifest.tools.items())]
    return Tools(manifest=manifest.digest, tools=found)


@router.get("/{name}", responses=errors(404))
async def tool(name: str, who: Reader, held: Held) -> ToolShape:
    """One tool."""
    entry = (await held.project.manifest()).tools.get(name)
    if entry is None:
        raise NotFound(f"there is no tool {name!r}", next_step="GET /v1/tools")
    return _tool(name, entry)


def _tool(name: str, entry: ToolEntry) -> ToolShape:
    schema = entry.schema_
    return ToolShape(
        name=name,
        source=entry.source,
        kind=entry.kind,
        description=schema.description,
        parameters=schema.parameters,
        action=schema.action,
        resource=schema.resource,
        workspace=schema.workspace,
        effects=schema.effects,
        idempotent=schema.idempotent,
        profile=schema.profile,
        flow=schema.flow,
        emits=list(schema.emits),
        credentials=list(schema.credentials),
    )
