"""`/v1/policies`: the bundle in force, those that were, and why a call is decided as it is."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import ConfigDict, Field, JsonValue

from interlock.api.caller import Caller
from interlock.api.etag import Route
from interlock.api.permission import may
from interlock.api.problems import NotFound
from interlock.api.schemas import Body, Shape, errors
from interlock.api.services import Services, services
from interlock.errors import InvalidInput
from interlock.policy import Bundle, Explanation, explain
from interlock.policy.compiled import CompiledRule
from interlock.policy.reasons import reasons
from interlock.run.attributes import complete
from interlock.run.catalogue import Scope, access_request, known
from interlock.run.contracts import RunSoFar
from interlock.types.access import Verdict
from interlock.types.names import DIGEST_PATTERN

router = APIRouter(prefix="/v1/policies", tags=["policies"], route_class=Route, responses=errors())
Held = Annotated[Services, Depends(services)]
Reader = Annotated[Caller, Depends(may("policies", "read"))]


class BundleShape(Shape):
    """A policy bundle."""

    digest: str
    first_at: datetime | None = Field(description="When an executor had it in force first; null: none had yet.")
    in_force: bool = Field(description="Whether this server decides by it now.")


class Policies(Shape):
    """The policies that are known."""

    in_force: str
    since: datetime = Field(description="When it came into force in this server.")
    problem: str = Field(description="Why the files as they are now are not in force; empty when they are.")
    bundles: list[BundleShape]


class RuleShape(Shape):
    """A rule."""

    id: str
    effect: Verdict
    guardrail: bool
    owner: str
    note: str
    agents: list[str]
    requesters: list[str]
    tools: list[str]
    actions: list[str]
    conditions: int = Field(description="How many conditions it has besides.")
    source: str = Field(description="`file:line`.")


class OneBundle(Shape):
    """What is in a bundle about the caller's tenant."""

    digest: str
    rules: list[RuleShape]
    routes: list[str]


class Question(Body):
    """A call that nobody made."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "agent": "fixer",
                    "requester": "user:alice",
                    "tool": "edit_file",
                    "arguments": {"path": "source/average.py", "old": "a", "new": "b"},
                }
            ]
        }
    )

    agent: str = Field(max_length=128)
    requester: str = Field(max_length=140, description="For whom it would be made.")
    tool: str = Field(max_length=128)
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    workflow: str = Field(default="agent_run", max_length=128)


class Explained(Shape):
    """The decision and what led to it."""

    explanation: Explanation
    needs: list[str] = Field(description="What would have to be true for the call to run; one is enough.")


@router.get("")
async def policies(who: Reader, held: Held) -> Policies:
    """The bundle in force, and those that executors had in force before."""
    current, state = held.bundle.digest, held.policy.state
    known_ones = {one.digest: one.first_at for one in await asyncio.to_thread(held.ledger.bundles)}
    found = [
        BundleShape(digest=digest, first_at=known_ones.get(digest), in_force=digest == current)
        for digest in dict.fromkeys((*known_ones, current))
    ]
    return Policies(in_force=current, since=state.since, problem=state.problem, bundles=found)


@router.get("/{digest}", responses=errors(404))
async def one(digest: Annotated[str, Path(pattern=DIGEST_PATTERN)], who: Reader, held: Held) -> OneBundle:
    """The rules of a bundle that are about your tenant."""
    bundle = await asyncio.to_thread(_bundle, held, digest)
    rules = [rule for rule in bundle.rules if {who.tenant, "*"} & set(rule.rule.tenant)]
    return OneBundle(digest=bundle.digest, rules=[_rule(rule) for rule in rules], routes=sorted(bundle.routes))


@router.post("/explanations")
async def explanation(body: Question, who: Reader, held: Held) -> Explained:
    """Decide a call that nobody made, under the policy in force, and say why. Nothing is done, nothing recorded."""
    manifest = await held.project.manifest()
    bundle = held.bundle
    if not bundle.people.is_known(body.requester, who.tenant):
        raise InvalidInput(f"requester: the policy knows no person {body.requester!r} in this tenant")
    name = body.agent.removeprefix("agent:")
    known(name, manifest.agents, "agent")
    entry = Scope(manifest, (name,)).tool(name, body.tool)
    request = access_request(
        entry,
        body.arguments,
        tenant=who.tenant,
        agent=name,
        requester=body.requester,
        run=f"try-{secrets.token_hex(6)}",
        workflow=body.workflow,
        time=datetime.now(UTC),
    )
    request = complete(request, entry, RunSoFar(), manifest=manifest, bundle=bundle, blobs=held.blobs)
    found = explain(bundle, request)
    own = request.model_copy(update={"agent": found.subject, "delegators": ()})
    return Explained(explanation=found, needs=list(reasons(bundle, own, found.decision).needs))


def _bundle(held: Services, digest: str) -> Bundle:
    if held.bundle.digest == digest:
        return held.bundle
    if not held.ledger.knows_bundle(digest):
        raise NotFound(f"no executor ever had the policy {digest} in force", next_step="GET /v1/policies")
    return Bundle.from_bytes(held.blobs.get(digest))


def _rule(one: CompiledRule) -> RuleShape:
    rule = one.rule
    return RuleShape(
        id=rule.id,
        effect=rule.effect,
        guardrail=rule.guardrail,
        owner=rule.owner,
        note=rule.note or "",
        agents=sorted(one.agents),
        requesters=sorted(one.requesters),
        tools=list(rule.tool or ("**",)),
        actions=list(rule.action),
        conditions=len(rule.when),
        source=one.source,
    )
