"""A ledger with calls that a real policy really decided: requests, bundles and events, without a runtime."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from support.events import ChainBuilder

from interlock.audit import Ledger, SqlBlobs
from interlock.definitions import Manifest, ToolEntry, ToolSchema
from interlock.digest import canonical
from interlock.events import CallDecided, CallFinished, CallProposed
from interlock.policy import Bundle, decide
from interlock.types.access import AccessRequest, canonical_request
from interlock.types.call import ToolCall


def question(tool: str, arguments: dict[str, Any], **changes: Any) -> AccessRequest:
    """A request of the fixer for alice."""
    plain = {
        "tenant": "default",
        "agent": "agent:fixer",
        "requester": "user:alice",
        "tool": tool,
        "action": "read",
        "resource": f"tool:{tool}",
        "arguments": arguments,
        "run": "run-1",
        "workflow": "fix_issue",
        "time": datetime(2026, 3, 4, 12, 0, tzinfo=UTC),
    }
    return AccessRequest.model_validate({**plain, **changes})


def record(
    ledger: Ledger,
    blobs: SqlBlobs,
    bundle: Bundle,
    requests: Iterable[AccessRequest],
    *,
    run: str = "run-1",
    finish: bool = True,
    output: str = "done",
) -> ChainBuilder:
    """Decide and record each request as one call of a run; what was not denied finishes well if `finish`."""
    chain, asked = ChainBuilder(run), list(requests)
    manifest = manifest_of(blobs, bundle, asked)
    chain.start(blobs, tenant="default", manifest=blobs.put(canonical(manifest.as_hashed())))
    blobs.put(bundle.to_bytes())
    for number, request in enumerate(asked, 1):
        _call(
            chain,
            blobs,
            bundle,
            request.model_copy(update={"run": run}),
            f"{run}:c{number}",
            output if finish else None,
        )
    ledger.append(run, chain.events)
    return chain


def manifest_of(blobs: SqlBlobs, bundle: Bundle, requests: Iterable[AccessRequest]) -> Manifest:
    """A manifest with the tools that these requests name, each as its request describes it."""
    source = blobs.put(b"source")
    tools = {one.tool: ToolEntry(source=source, path="", schema_=_schema(one)) for one in requests}
    return Manifest(
        project="test", engine="0", agents={}, tools=tools, workflows={}, images={}, policy=bundle.digest
    )


def _schema(request: AccessRequest) -> ToolSchema:
    return ToolSchema(
        name=request.tool,
        description="A tool.",
        parameters={"type": "object", "properties": {name: {} for name in request.arguments}},
        result={},
        action=request.action,
        resource=request.resource,
        workspace="none",
        effects="contained",
        idempotent=True,
        profile="default",
        preview="arguments",
        sentence="",
        flow=request.flow,
        emits=request.emits,
        destination=request.destination,
        declassifies=request.declassifies,
    )


def _call(
    chain: ChainBuilder, blobs: SqlBlobs, bundle: Bundle, request: AccessRequest, call_id: str, output: str | None
) -> None:
    decision = decide(bundle, request)
    named = {
        "call_id": call_id,
        "agent": request.agent,
        "tool": request.tool,
        "tool_digest": blobs.put(b"source"),
        "arguments": blobs.put(canonical(request.arguments)),
        "workspace": "",
    }
    call = ToolCall(tenant=request.tenant, run=chain.run, **named)
    digest = blobs.put(canonical(call.as_hashed()))
    chain.add(CallProposed, **named, call_digest=digest)
    chain.add(
        CallDecided,
        call_id=call_id,
        call_digest=digest,
        verdict=decision.verdict,
        rule=decision.rule,
        request=blobs.put(canonical(canonical_request(request))),
        bundle=bundle.digest,
        nearest=decision.nearest,
        condition_errors=decision.condition_errors,
    )
    if output is not None and decision.verdict != "deny":
        finished = {
            "status": "ok",
            "output": blobs.put(canonical(output)),
            "workspace": "",
            "receipt": blobs.put(b"receipt"),
        }
        chain.add(CallFinished, call_id=call_id, call_digest=digest, **finished)
