"""One tool call from proposal to result, in workflow code: the policy enforcement point.

    propose → decide → (ask people) → execute → record

Every way out is a result that the agent can read. The executor decides again by itself; where it disagrees,
its answer counts and is recorded beside ours.
"""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue

from interlock.approval import ApprovalClaims
from interlock.events import CallFinished, CallRefused, CallUnknown, EgressRequested
from interlock.graph import CallResult, ProposedCall
from interlock.run.asking import ask_people
from interlock.run.context import RunContext
from interlock.run.contracts import BUILT_IN_TOOLS, SETTLE_TOOL, ExecuteInput, ExecuteOutput
from interlock.run.proposal import call_digest, propose, record_decision
from interlock.run.steps import execute
from interlock.types.access import Decision
from interlock.types.call import Refusal, ToolCall

ROUNDS: Final = 3
"""How often the executor may ask for approvals that it cannot accept, before the call is refused."""


async def govern(run: RunContext, agent: str, proposed: ProposedCall, *, edited_from: str = "") -> CallResult:
    """Take one proposed call to its result."""
    with run.under_way():
        return await _govern(run, agent, proposed, edited_from)


async def _govern(run: RunContext, agent: str, proposed: ProposedCall, edited_from: str) -> CallResult:
    await run.ready()
    call_id = run.next_call_id()
    if proposed.error:
        return _refused(run, proposed, call_id, agent, "schema", proposed.error)
    if proposed.tool in BUILT_IN_TOOLS:  # the engine puts these; a model that could would write people's questions
        return _refused(run, proposed, call_id, agent, "unknown_tool", f"there is no tool {proposed.tool!r}")
    decided = await propose(run, call_id, agent, proposed.tool, proposed.arguments, edited_from=edited_from)
    if decided.call is None or decided.decision is None:
        by: Refusal = "unknown_tool" if decided.unknown_tool else "schema"
        return _refused(run, proposed, call_id, agent, by, decided.invalid)
    return await _enforce(run, agent, proposed, decided.call, decided.decision)


async def _enforce(
    run: RunContext, agent: str, proposed: ProposedCall, call: ToolCall, decision: Decision
) -> CallResult:
    settled: tuple[str, ...] = ()
    for _ in range(ROUNDS):
        if decision.verdict == "deny":
            return _refused(run, proposed, call.call_id, agent, "policy", decision.reason)
        approvals: tuple[str, ...] = ()
        if decision.verdict == "ask":
            pending = await ask_people(run, call, decision, kind="call")
            if pending.state == "expired":
                detail = f"nobody of route {pending.request.route.name!r} decided in time; that denies"
                return _refused(run, proposed, call.call_id, agent, "expired", detail)
            if pending.state != "approved":
                return await _not_approved(run, agent, proposed, call, pending.last.claims)
            approvals = tuple(vote.token for vote in pending.approvals())
        done = await _execute(run, call, approvals, settled)
        if done.outcome == "finished":
            return _finished(run, proposed, call, done)
        if done.outcome == "unknown":
            settlement = await _settle(run, agent, proposed, call, done)
            if isinstance(settlement, CallResult):
                return settlement
            settled = settlement
            continue
        assert done.decision is not None, "an executor that refuses says how it decided"
        record_decision(run, call, done.decision)
        if done.outcome == "refused":
            return _refused(run, proposed, call.call_id, agent, "executor", done.detail or done.decision.reason)
        decision = done.decision
    return _refused(run, proposed, call.call_id, agent, "executor", "the executor never accepted the approvals")


async def _execute(
    run: RunContext, call: ToolCall, approvals: tuple[str, ...], settled: tuple[str, ...]
) -> ExecuteOutput:
    await run.ready()
    request = ExecuteInput(call=call, approvals=approvals, settled=settled, events=run.chain.unsent())
    done = await execute(request, summary=run.describe(call))
    run.chain.committed(done.committed)
    return done


async def _not_approved(
    run: RunContext, agent: str, proposed: ProposedCall, call: ToolCall, vote: ApprovalClaims
) -> CallResult:
    if vote.verdict == "edit":
        edited = proposed.model_copy(update={"arguments": vote.edited})
        result = await govern(run, agent, edited, edited_from=call.call_id)
        note = f"{vote.sub} edited this call before it was decided."
        return result.model_copy(update={"text": f"{note} {result.text}".strip()})
    return _refused(run, proposed, call.call_id, agent, "approver", f"{vote.sub} rejected it: {vote.message}")


async def _settle(
    run: RunContext, agent: str, proposed: ProposedCall, call: ToolCall, done: ExecuteOutput
) -> CallResult | tuple[str, ...]:
    """A call of unknown outcome: a person says run again (their tokens are returned), done, or failed."""
    run.chain.record(CallUnknown, call_id=call.call_id, call_digest=call_digest(call), reason=done.detail)
    await run.ready()
    arguments: dict[str, JsonValue] = {"call_id": call.call_id, "tool": call.tool, "reason": done.detail}
    decided = await propose(run, run.next_call_id(), agent, SETTLE_TOOL, arguments)
    if decided.decision is None or decided.decision.verdict != "ask":
        detail = f"{done.detail}; no rule routes {SETTLE_TOOL!r} to a person, so it is taken as failed"
        return _refused(run, proposed, call.call_id, agent, "failed", detail)
    pending = await ask_people(run, call, decided.decision, kind="unknown")
    if pending.state == "approved":
        return tuple(vote.token for vote in pending.approvals())
    if pending.state == "answered":
        vote = pending.last.claims
        return CallResult(
            model_call_id=proposed.model_call_id,
            tool=proposed.tool,
            status="ok",
            text=f"{vote.sub} says that it was done: {vote.message}",
        )
    reason = "nobody settled it in time" if pending.state == "expired" else pending.last.claims.message
    return _refused(run, proposed, call.call_id, agent, "failed", f"{done.detail}; taken as failed: {reason}")


def _finished(run: RunContext, proposed: ProposedCall, call: ToolCall, done: ExecuteOutput) -> CallResult:
    for request in done.egress:
        run.chain.record(EgressRequested, call_id=call.call_id, call_digest=call_digest(call), request=request)
    run.chain.record(
        CallFinished,
        call_id=call.call_id,
        call_digest=call_digest(call),
        status=done.status,
        output=done.output,
        workspace=done.workspace,
        artifacts=done.artifacts,
        start=done.start,
        usage=done.usage,
        receipt=done.receipt,
    )
    run.workspace = done.workspace
    return CallResult(
        model_call_id=proposed.model_call_id,
        tool=proposed.tool,
        status="ok" if done.status == "ok" else "error",
        output=done.output,
    )


def _refused(
    run: RunContext, proposed: ProposedCall, call_id: str, agent: str, by: Refusal, detail: str
) -> CallResult:
    tool = proposed.tool[:128]
    run.chain.record(CallRefused, call_id=call_id, agent=f"agent:{agent}", tool=tool, by=by, detail=detail[:2000])
    return CallResult(
        model_call_id=proposed.model_call_id, tool=proposed.tool, status="refused", text=f"Not run. {detail}"
    )
