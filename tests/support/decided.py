"""A ledger with calls that a real policy really decided: requests, bundles and events, without a runtime."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from support.events import ChainBuilder

from interlock.audit import Ledger, SqlBlobs
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
) -> ChainBuilder:
    """Decide and record each request as one call of a run; what was not denied finishes well if `finish`."""
    chain = ChainBuilder(run)
    chain.start(tenant="default")
    blobs.put(bundle.to_bytes())
    for number, request in enumerate(requests, 1):
        _call(chain, blobs, bundle, request.model_copy(update={"run": run}), f"{run}:c{number}", finish)
    ledger.append(run, chain.events)
    return chain


def _call(
    chain: ChainBuilder, blobs: SqlBlobs, bundle: Bundle, request: AccessRequest, call_id: str, finish: bool
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
    if finish and decision.verdict != "deny":
        finished = {"status": "ok", "output": blobs.put(b'"done"'), "workspace": "", "receipt": "receipt"}
        chain.add(CallFinished, call_id=call_id, call_digest=digest, **finished)
