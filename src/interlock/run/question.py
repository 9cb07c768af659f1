"""A question to a person, in workflow code: LangGraph's `interrupt()` and `Workflow.ask` end up here.

A question is a governed call of the built-in tool `interlock.ask`: a rule routes it, the answer is a signed
decision, and both are in the chain.
"""

from __future__ import annotations

from pydantic import BaseModel, JsonValue

from interlock.approval import ApprovalClaims
from interlock.errors import Refused, Unreachable
from interlock.run.answering import Expected, fitted
from interlock.run.asking import ask_people
from interlock.run.context import RunContext
from interlock.run.contracts import ASK_TOOL
from interlock.run.proposal import call_digest, propose
from interlock.run.under_way import QuestionUnderWay


async def put(
    run: RunContext,
    agent: str,
    question: JsonValue,
    *,
    place: str,
    expected: Expected | None = None,
    model: type[BaseModel] | None = None,
) -> JsonValue:
    """Ask, and return the answer: its text, or the object that it is. Asked again at the same place, it goes on
    where it was.

    Args:
        expected: what the answer must be.
        model: that, as far as a schema cannot say it.

    Raises:
        Refused: no rule routes it, nobody answered in time, or it was rejected.
        InvalidInput: the answer is not what it must be.
        Drained: the run goes on in a new execution before anybody answered.
    """
    if place not in run.answers:
        with run.under_way():
            begun = QuestionUnderWay(agent=agent, question=question, expected=expected or Expected())
            asked = run.questions_under_way.setdefault(place, begun)
            if model is not None:
                run.answer_models[place] = model
            run.answers[place] = await _put(run, asked)
        del run.questions_under_way[place]
        run.answer_models.pop(place, None)
    return run.answers[place]


def check_answer(run: RunContext, claims: ApprovalClaims) -> None:
    """Refuse an answer that is not what its question expects, before it is taken; of other decisions ask nothing.

    Raises:
        InvalidInput: names the field, and why it does not fit.
        Unreachable: a new execution of the workflow has not come to the question yet: it does not know its model.
    """
    if claims.about != "question" or claims.verdict != "respond":
        return
    for place, asked in run.questions_under_way.items():
        # By the call: the ledger shows a request to people a moment before its question knows the request's id.
        if asked.call is not None and call_digest(asked.call) == claims.call:
            value = asked.expected.read(claims.message)
            if asked.expected.answer is None:
                return
            if place not in run.answer_models:
                raise Unreachable("the run is just going on", next_step="try again in a second")
            fitted(run.answer_models[place], value)


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
    return asked.expected.read(pending.last.claims.message)


async def _proposed(run: RunContext, asked: QuestionUnderWay) -> None:
    await run.begin()
    arguments = {"question": asked.question, **asked.expected.arguments()}
    decided = await propose(run, run.next_call_id(), asked.agent, ASK_TOOL, arguments)
    if decided.call is None or decided.decision is None:
        raise Refused(f"the question cannot be put: {decided.invalid}")
    if decided.decision.verdict != "ask":
        raise Refused(
            f"no rule routes questions of agent {asked.agent!r} to a person: {decided.decision.reason}",
            next_step=f"add a rule with effect ask for tool {ASK_TOOL!r}",
        )
    asked.call, asked.decision = decided.call, decided.decision
