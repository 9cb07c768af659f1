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
from interlock.run.proposal import call_digest, propose
from interlock.run.under_way import QuestionUnderWay


async def put(run: RunContext, agent: str, question: JsonValue, *, place: str) -> JsonValue:
    """Ask, and return the answer's text. Asked again at the same place, it goes on where it was.

    Raises:
        Refused: no rule routes it, nobody answered in time, or it was rejected.
        Drained: the run goes on in a new execution before anybody answered.
    """
    if place not in run.answers:
        with run.under_way():
            asked = run.questions_under_way.setdefault(place, QuestionUnderWay(agent=agent, question=question))
            run.answers[place] = await _put(run, asked)
        del run.questions_under_way[place]
    return run.answers[place]


async def _put(run: RunContext, asked: QuestionUnderWay) -> JsonValue:
    await run.ready()
    if asked.call is None:
        await _proposed(run, asked)
    call, decision = asked.decided()
    pending = await ask_people(run, asked, call, decision, kind="question")
    run.so_far.over(call_digest(call))
    if pending.state != "answered":
        why = "nobody answered in time" if pending.state == "expired" else pending.last.claims.message
        raise Refused(f"the question was not answered: {why}")
    return pending.last.claims.message


async def _proposed(run: RunContext, asked: QuestionUnderWay) -> None:
    await run.begin()
    decided = await propose(run, run.next_call_id(), asked.agent, ASK_TOOL, {"question": asked.question})
    if decided.call is None or decided.decision is None:
        raise Refused(f"the question cannot be put: {decided.invalid}")
    if decided.decision.verdict != "ask":
        raise Refused(
            f"no rule routes questions of agent {asked.agent!r} to a person: {decided.decision.reason}",
            next_step=f"add a rule with effect ask for tool {ASK_TOOL!r}",
        )
    asked.call, asked.decision = decided.call, decided.decision
