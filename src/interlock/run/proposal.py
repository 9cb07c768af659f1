"""Proposing and deciding a call, in workflow code: its digest, the local activity that decides, the record."""

from __future__ import annotations

from pydantic import JsonValue
from temporalio import workflow

from interlock.digest import digest_of
from interlock.events import CallDecided, CallProposed
from interlock.run.context import RunContext
from interlock.run.contracts import DecideInput, DecideOutput
from interlock.run.earlier_calls import AT_ONCE, chunk
from interlock.run.steps import decide, keep
from interlock.run.told import Told
from interlock.types.access import Decision
from interlock.types.call import ToolCall


def call_digest(call: ToolCall) -> str:
    """The digest that is decided, approved, executed and receipted."""
    return digest_of(call.as_hashed())


async def propose(
    run: RunContext,
    call_id: str,
    agent: str,
    tool: str,
    arguments: str | dict[str, JsonValue],
    *,
    edited_from: str = "",
    told: JsonValue = None,
) -> DecideOutput:
    """Normalise a call, let the policy decide it, and record both. One call after the other: each decision counts
    every call before it, those under way too.

    Args:
        told: what was decided of it where its model proposed it; used if it still counts.
    """
    async with run.deciding:
        await set_aside(run)
        decided = await _decided(
            run,
            told,
            DecideInput(
                run=run.input.run,
                tenant=run.input.tenant,
                workflow=run.input.workflow,
                requester=run.input.requester,
                manifest=run.input.manifest,
                call_id=call_id,
                agent=agent,
                delegators=run.delegators,
                tool=tool,
                arguments=arguments,
                workspace=run.workspace,
                edited=bool(edited_from),
                tool_digest=run.chain.trail.tools.get(tool, ""),
                bundle=run.chain.trail.bundle,
                so_far=run.so_far.now(),
                time=workflow.now().isoformat(),
            ),
        )
        if decided.call is not None and decided.decision is not None:
            _record_proposal(run, decided.call, edited_from)
            run.so_far.carry(call_digest(decided.call), decided.carried)
            record_decision(run, decided.call, decided.decision)
        return decided


async def _decided(run: RunContext, told: JsonValue, asked: DecideInput) -> DecideOutput:
    at_once = Told.model_validate(told) if told is not None else None
    if at_once is not None and at_once.events + 1 == run.chain.seq:
        return at_once.whole(asked)
    return await decide(asked)


async def set_aside(run: RunContext, at_least: int = AT_ONCE) -> None:
    """Leave the calls of which nothing more will be said to a blob, if there are so many."""
    closed = run.so_far.closed()
    if len(closed) >= at_least:
        run.so_far.set_aside(await keep(chunk(run.so_far.earlier, closed)))


def _record_proposal(run: RunContext, call: ToolCall, edited_from: str) -> None:
    run.chain.record(
        CallProposed,
        call_id=call.call_id,
        agent=call.agent,
        tool=call.tool,
        tool_digest=call.tool_digest,
        arguments=call.arguments,
        workspace=call.workspace,
        call_digest=call_digest(call),
        edited_from=edited_from,
    )


def record_decision(run: RunContext, call: ToolCall, decision: Decision) -> None:
    """Record a decision so that it can be made again."""
    run.chain.record(
        CallDecided,
        call_id=call.call_id,
        call_digest=call_digest(call),
        verdict=decision.verdict,
        rule=decision.rule,
        request=decision.request,
        bundle=decision.bundle,
        nearest=decision.nearest,
        condition_errors=decision.condition_errors,
    )
