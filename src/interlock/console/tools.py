"""Tools: what each does, on what, and which agents may call it."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from interlock.api.caller import Caller
from interlock.api.permission import may
from interlock.api.problems import NotFound
from interlock.api.services import Services, services
from interlock.console.agents import lacks, survey_of
from interlock.console.manifest import known, versions
from interlock.console.pages import page
from interlock.definitions import Manifest
from interlock.policy.reach import who as who_may

router = APIRouter(prefix="/tools", include_in_schema=False)
Reader = Annotated[Caller, Depends(may("tools", "read"))]
Held = Annotated[Services, Depends(services)]


@router.get("")
async def tools(request: Request, who: Reader, held: Held) -> Response:
    """All tools."""
    found = await known(held, who)
    listed = dict(sorted(found.manifest.tools.items())) if found.manifest else {}
    return await asyncio.to_thread(page, request, "tools.html", who, here="Tools", tools=listed, note=found.note)


@router.get("/{name}")
async def tool(request: Request, name: str, who: Reader, held: Held) -> Response:
    """One tool."""
    found = await known(held, who)
    if found.manifest is None or name not in found.manifest.tools:
        raise NotFound(f"there is no tool {name!r}", next_step="open Tools to see which there are")
    return await asyncio.to_thread(_tool, request, name, who, held, found.manifest, found.note)


def _tool(request: Request, name: str, who: Caller, held: Services, manifest: Manifest, note: str) -> Response:
    entry = manifest.tools[name]
    survey = survey_of(held, who, manifest)
    return page(
        request,
        "tool.html",
        who,
        here="Tools",
        name=name,
        tool=entry,
        schema=json.dumps(entry.schema_.parameters, indent=1, ensure_ascii=False),
        versions=versions(held, who, manifest, tool=name),
        reach=[(one, lacks(manifest, one)) for one in who_may(survey, name, action=entry.schema_.action)],
        everybody=set(survey.users),
        note=note,
    )
