"""One tool call from proposal to result, in workflow code: the policy enforcement point.

    propose → decide → (ask people) → execute → record

Every way out is a result that the agent can read. The executor decides again by itself; where it disagrees,
its answer counts and is recorded beside ours.
"""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue

from interlock.approval import ApprovalClaims
from interlock.events import CallFinished, CallRefused, CallUnknown, EgressRequested, GrantUsed
from interlock.graph import CallResult, ProposedCall
from interlock.run.asking import ask_people, open_request
from interlock.run.context import RunContext
from interlock.run.contracts import (
    HAND_OFF_TOOL,
    PUT_TO_PEOPLE,
    SETTLE_TOOL,
    ExecuteInput,
    ExecuteOutput,
    UseGrantInput,
)
from interlock.run.hand_off import handed_on
from interlock.run.packing import shortened
from interlock.run.proposal import call_digest, propose, record_decision
from interlock.run.spent import Spent
from interlock.run.steps import execute, use_grant
from interlock.run.under_way import CallUnderWay
from interlock.types.call import Refusal, ToolCall

ROUNDS: Final = 3
"""How often the executor may ask for approvals that it cannot accept, before the call is refused."""


async def govern(
    run: RunContext, agent: str, proposed: ProposedCall, *, place: str, edited_from: str = ""
) -> CallResult:
    """Take one proposed call to its result. Proposed again at the same place, it goes on where it was.

    Raises:
        Drained: the run goes on in a new execution before it has a result.
    """
    if place not in run.results:
        with run.under_way():
            begun = CallUnderWay(agent=agent, proposed=proposed, edited_from=edited_from)
            state = run.calls_under_way.setdefault(place, begun)
            run.results[place] = await _govern(run, place, state)
        del run.calls_under_way[place]
        if state.call is not None:
            run.so_far.over(call_digest(state.call))
    return run.results[place]


async def _govern(run: RunContext, place: str, state: CallUnderWay) -> CallResult:
    await run.ready()
    if state.call is None and (refused := await _proposed(run, state)) is not None:
        return refused
    call, _ = state.decided()
    while state.rounds < ROUNDS:
        ended = await (_settle(run, state) if state.doubt else _permitted(run, place, state))
        if ended is not None:
            return ended
        done = await _execute(run, state)
        if done.outcome == "finished":
            return _finished(run, state.proposed, call, done)
        if done.outcome == "unknown":
            run.chain.record(CallUnknown, call_id=call.call_id, call_digest=call_digest(call), reason=done.detail)
            state.doubt = done.detail
            continue
        assert done.decision is not None, "an executor that refuses says how it decided"
        record_decision(run, call, done.decision)
        if done.outcome == "refused":
            return _refused(run, state, "executor", done.detail or done.decision.reason)
        state.decision = done.decision
        state.granted = "no" if state.granted == "yes" else state.granted
        state.requests.pop("call", None)
    return _refused(run, state, "executor", "the executor never accepted the approvals")


async def _proposed(run: RunContext, state: CallUnderWay) -> CallResult | None:
    """Have it decided; or why it is no call at all."""
    await run.begin()
    call_id, proposed = run.next_call_id(), state.proposed
    if proposed.error:
        return _refused(run, state, "schema", proposed.error, call_id)
    if proposed.tool in PUT_TO_PEOPLE:  # the engine puts these; a model that could would write people's questions
        return _refused(run, state, "unknown_tool", f"there is no tool {proposed.tool!r}", call_id)
    told = None if state.edited_from else proposed.told
    decided = await propose(
        run, call_id, state.agent, proposed.tool, proposed.arguments, edited_from=state.edited_from, told=told
    )
    if decided.call is None or decided.decision is None:
        by: Refusal = "unknown_tool" if decided.unknown_tool else "schema"
        return _refused(run, state, by, decided.invalid, call_id)
    state.call, state.decision = decided.call, decided.decision
    return None


async def _permitted(run: RunContext, place: str, state: CallUnderWay) -> CallResult | None:
    """Ask people where the decision says so; why the call does not run, or None if it may."""
    call, decision = state.decided()
    if decision.verdict == "deny":
        return _refused(run, state, "policy", decision.reason)
    if decision.verdict == "allow":
        return None
    if await _granted(run, state):
        return None
    pending = await ask_people(run, state, call, decision, kind="call")
    if pending.state == "expired":
        detail = f"nobody of route {pending.request.route.name!r} decided in time; that denies"
        return _refused(run, state, "expired", detail)
    if pending.state == "withdrawn":
        return _refused(run, state, "withdrawn", f"{run.input.requester} withdrew the request for approval")
    if pending.emergency is not None and "review" not in state.requests:
        review = pending.request.route.review(pending.emergency.sub)
        state.requests["review"] = await open_request(run, call, decision, "review", review)
    return None if pending.state == "approved" else await _not_approved(run, place, state, pending.last.claims)


async def _granted(run: RunContext, state: CallUnderWay) -> bool:
    """Whether a standing grant lets the call run, about which people would be asked."""
    call, decision = state.decided()
    if state.granted == "" and decision.route is not None and decision.route.grants is not None:
        await run.begin()
        events = run.chain.unsent()
        found = await use_grant(UseGrantInput(call=shortened(run.input.run, call.call_id), events=events))
        run.chain.committed(events.last)
        state.granted = "yes" if found.grant else "no"
        if found.grant:
            run.chain.record(
                GrantUsed, call_id=call.call_id, call_digest=call_digest(call), **found.model_dump(mode="json")
            )
    return state.granted == "yes"


async def _execute(run: RunContext, state: CallUnderWay) -> ExecuteOutput:
    await run.begin()
    if state.decided()[0].tool == HAND_OFF_TOOL:
        done = await handed_on(run, lambda give_up: _asked_for(run, state, give_up=give_up))
    else:
        done = await _asked_for(run, state)
    state.rounds += 1
    return done


async def _asked_for(run: RunContext, state: CallUnderWay, *, give_up: bool = False) -> ExecuteOutput:
    call, _ = state.decided()
    approvals: tuple[str, ...] = ()
    if (asked := state.requests.get("call")) is not None:
        approvals = tuple(vote.token for vote in run.approvals[asked].approvals())
    events, files = run.chain.unsent(), run.chain.trail.workspace
    name = shortened(run.input.run, call.call_id)
    request = ExecuteInput(call=name, approvals=approvals, settled=state.settled, events=events, give_up=give_up)
    done = await execute(request)
    run.chain.committed(events.last)
    return done if done.workspace is not None else done.model_copy(update={"workspace": files})


async def _not_approved(run: RunContext, place: str, state: CallUnderWay, vote: ApprovalClaims) -> CallResult:
    if vote.verdict == "edit":
        edited = state.proposed.model_copy(update={"arguments": vote.edited})
        result = await govern(
            run, state.agent, edited, place=f"{place}/edited", edited_from=state.decided()[0].call_id
        )
        run.results.pop(f"{place}/edited")
        note = f"{vote.sub} edited this call before it was decided."
        return result.model_copy(update={"text": f"{note} {result.text}".strip()})
    return _refused(run, state, "approver", f"{vote.sub} rejected it: {vote.message}")


async def _settle(run: RunContext, state: CallUnderWay) -> CallResult | None:
    """A call of unknown outcome: a person says done, or failed; None where they say run again."""
    (call, _), doubt = state.decided(), state.doubt
    if state.settling is None:
        await run.begin()
        arguments: dict[str, JsonValue] = {"call_id": call.call_id, "tool": call.tool, "reason": doubt}
        decided = await propose(run, run.next_call_id(), state.agent, SETTLE_TOOL, arguments)
        if decided.call is not None:  # people decide about the call in doubt; this one only says who they are
            run.so_far.over(call_digest(decided.call))
        if decided.decision is None or decided.decision.verdict != "ask":
            detail = f"{doubt}; no rule routes {SETTLE_TOOL!r} to a person, so it is taken as failed"
            return _refused(run, state, "failed", detail)
        state.settling = decided.decision
    pending = await ask_people(run, state, call, state.settling, kind="unknown")
    if pending.state == "approved":
        state.settled = tuple(vote.token for vote in pending.approvals())
        state.doubt, state.settling = "", None
        del state.requests["unknown"]
        return None
    if pending.state == "answered":
        vote = pending.last.claims
        return CallResult(
            model_call_id=state.proposed.model_call_id,
            tool=state.proposed.tool,
            status="ok",
            text=f"{vote.sub} says that it was done: {vote.message}",
        )
    reason = "nobody settled it in time" if pending.state == "expired" else pending.last.claims.message
    return _refused(run, state, "failed", f"{doubt}; taken as failed: {reason}")


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
        child=done.child,
        receipt=done.receipt,
    )
    if done.child is not None:
        run.spent.setdefault(call.agent.removeprefix("agent:"), Spent()).tokens += done.child.tokens
    run.workspace = run.chain.trail.workspace
    return CallResult(
        model_call_id=proposed.model_call_id,
        tool=proposed.tool,
        status="ok" if done.status == "ok" else "error",
        output=done.output,
    )


def _refused(run: RunContext, state: CallUnderWay, by: Refusal, detail: str, call_id: str = "") -> CallResult:
    call_id = call_id or (state.call.call_id if state.call is not None else "")
    proposed, tool = state.proposed, state.proposed.tool[:128]
    run.chain.record(
        CallRefused, call_id=call_id, agent=f"agent:{state.agent}", tool=tool, by=by, detail=detail[:2000]
    )
    return CallResult(
        model_call_id=proposed.model_call_id, tool=proposed.tool, status="refused", text=f"Not run. {detail}"
    )
