"""A question to a person, in workflow code: LangGraph's `interrupt()` and `Workflow.ask` end up here.

A question is a governed call of the built-in tool `interlock.ask`: a rule routes it, the answer is a signed
decision, and both are in the chain.
"""

from __future__ import annotations

from pydantic import JsonValue

from interlock.errors import Refused
from interlock.run.asking import ask_people
from interlock.run.context import RunContext
from interlock.run.contracts import ASK_TOOL
from interlock.run.proposal import propose


async def put(run: RunContext, agent: str, question: JsonValue) -> JsonValue:
    """Ask, and return the answer's text.

    Raises:
        Refused: no rule routes it, nobody answered in time, or it was rejected.
    """
    with run.under_way():
        return await _put(run, agent, question)


async def _put(run: RunContext, agent: str, question: JsonValue) -> JsonValue:
    await run.ready()
    decided = await propose(run, run.next_call_id(), agent, ASK_TOOL, {"question": question})
    if decided.call is None or decided.decision is None:
        raise Refused(f"the question cannot be put: {decided.invalid}")
    if decided.decision.verdict != "ask":
        raise Refused(
            f"no rule routes questions of agent {agent!r} to a person: {decided.decision.reason}",
            next_step=f"add a rule with effect ask for tool {ASK_TOOL!r}",
        )
    pending = await ask_people(run, decided.call, decided.decision, kind="question")
    if pending.state != "answered":
        why = "nobody answered in time" if pending.state == "expired" else pending.last.claims.message
        raise Refused(f"the question was not answered: {why}")
    return pending.last.claims.message
