"""The policy: what is in force, what was, what a change did, and why a call would be decided as it is."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from interlock.api.caller import Caller
from interlock.api.permission import may
from interlock.api.services import Services, services
from interlock.console.manifest import known
from interlock.console.pages import page
from interlock.definitions import Manifest
from interlock.digest import parse
from interlock.errors import InterlockError, InvalidInput
from interlock.policy import Bundle, Explanation, explain, policy_changes, request_line
from interlock.policy.reasons import Reasons, reasons
from interlock.policy.summary import counts
from interlock.run.attributes import complete
from interlock.run.catalogue import Scope, access_request
from interlock.run.catalogue import known as known_name
from interlock.run.contracts import RunSoFar
from interlock.types.names import DIGEST_PATTERN

router = APIRouter(prefix="/policy", include_in_schema=False)
Reader = Annotated[Caller, Depends(may("policies", "read"))]
Held = Annotated[Services, Depends(services)]
_DIGEST: Final = re.compile(DIGEST_PATTERN)


class Asked(NamedTuple):
    """A question about a call that nobody proposed, as the form has it."""

    agent: str
    tool: str
    person: str
    arguments: str


@router.get("")
def policy(request: Request, who: Reader, held: Held) -> Response:
    """What is in force, and what was."""
    bundle = held.bundle
    routes = [
        (name, bundle.routes[name].model_dump(mode="json", exclude_defaults=True)) for name in sorted(bundle.routes)
    ]
    return page(
        request,
        "policy.html",
        who,
        here="Policy",
        bundle=bundle,
        counts=counts(bundle),
        routes=[(name, json.dumps(entry, ensure_ascii=False)) for name, entry in routes],
        bundles=held.ledger.bundles()[::-1],
    )


@router.get("/diff")
async def diff(request: Request, who: Reader, held: Held, before: str, after: str = "") -> Response:
    """What a change of the policy did, in decisions."""
    found = await known(held, who)
    return await asyncio.to_thread(_diff, request, who, held, before, after, found.manifest)


@router.get("/explain")
async def explained(
    request: Request,
    who: Reader,
    held: Held,
    agent: str = "",
    tool: str = "",
    person: str = "",
    arguments: str = "{}",
) -> Response:
    """Why a call would be decided as it is."""
    found = await known(held, who)
    asked = Asked(agent, tool, person or who.person, arguments)
    return await asyncio.to_thread(_explained, request, who, held, asked, found.manifest, found.note)


def _diff(
    request: Request, who: Caller, held: Services, before: str, after: str, manifest: Manifest | None
) -> Response:
    old = _bundle(held, before)
    new = _bundle(held, after) if after else held.bundle
    schemas = {name: entry.schema_ for name, entry in manifest.tools.items()} if manifest else {}
    told = [
        (change, [(request_line(one.case), one.before, one.after) for one in change.witnesses])
        for change in policy_changes(old, new, tools=schemas)
    ]
    return page(request, "policy_diff.html", who, here="Policy", old=old.digest, new=new.digest, told=told)


def _bundle(held: Services, digest: str) -> Bundle:
    """Raises InvalidInput: no policy of this digest was ever in force here."""
    if not _DIGEST.fullmatch(digest) or not held.ledger.knows_bundle(digest):
        raise InvalidInput(
            f"no policy {digest!r} was in force here", next_step="choose one that the page Policy lists"
        )
    return Bundle.from_bytes(held.blobs.get(digest))


def _explained(
    request: Request, who: Caller, held: Services, asked: Asked, manifest: Manifest | None, note: str
) -> Response:
    found: tuple[Explanation, Reasons] | None = None
    wrong = ""
    if asked.tool and manifest is not None:
        try:
            found = _asked(who, held, asked, manifest)
        except InterlockError as error:
            wrong = str(error)
    people = sorted(one for one in held.bundle.people.tenants if held.bundle.people.is_known(one, who.tenant))
    given: dict[str, Any] = {
        "asked": asked,
        "found": found[0] if found else None,
        "why": found[1] if found else None,
        "wrong": wrong,
        "note": note,
        "agents": sorted(manifest.agents) if manifest else [],
        "tools": sorted(manifest.tools) if manifest else [],
        "people": people,
    }
    return page(request, "explain.html", who, here="Policy", status=422 if wrong else 200, **given)


def _asked(who: Caller, held: Services, asked: Asked, manifest: Manifest) -> tuple[Explanation, Reasons]:
    """Raises InvalidInput: no such agent, tool or person, or the arguments do not fit."""
    bundle = held.bundle
    if not bundle.people.is_known(asked.person, who.tenant):
        raise InvalidInput(f"person: the policy knows no {asked.person!r}", next_step="choose one of the list")
    arguments = parse(asked.arguments)
    if not isinstance(arguments, dict):
        raise InvalidInput("arguments: must be a JSON object")
    known_name(asked.agent, manifest.agents, "agent")
    entry = Scope(manifest, (asked.agent,)).tool(asked.agent, asked.tool)
    question = access_request(
        entry,
        arguments,
        tenant=who.tenant,
        agent=asked.agent,
        requester=asked.person,
        run="try",
        workflow="agent_run",
        time=datetime.now(UTC),
    )
    question = complete(question, entry, RunSoFar(), manifest=manifest, bundle=bundle, blobs=held.blobs)
    found = explain(bundle, question)
    own = question.model_copy(update={"agent": found.subject, "delegators": ()})
    return found, reasons(bundle, own, found.decision)
