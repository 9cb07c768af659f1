"""A hand-off as a step of a team's workflow: the same governed call that an agent's model may make."""

from __future__ import annotations

from pydantic import JsonValue

from interlock.graph import AgentOutcome, ProposedCall
from interlock.run.context import RunContext
from interlock.run.contracts import HAND_OFF_TOOL
from interlock.run.tool_call import govern


async def hand_on(run: RunContext, agent: str, to: str, task: JsonValue, *, place: str) -> AgentOutcome:
    """Hand work of `agent` on to the agent `to`; a refusal and a failure are outcomes.

    Raises:
        Drained: the run goes on in a new execution before it ended.
    """
    call = ProposedCall(model_call_id=place, tool=HAND_OFF_TOOL, arguments={"agent": to, "task": task})
    result = await govern(run, agent, call, place=place)
    run.results.pop(place, None)
    if result.status == "ok":
        return AgentOutcome(status="completed", result=result.output)
    detail = result.text or f"the run of {to!r} did not complete; the result says why"
    return AgentOutcome(status="failed", result=result.output, detail=detail)
