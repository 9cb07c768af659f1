"""A decision travels without what the workflow knows, and counts only while that is what it knows."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from interlock.run import proposal
from interlock.run.contracts import DecideInput, DecideOutput, RunSoFar
from interlock.run.told import Told
from interlock.types.access import Decision, NearestRule
from interlock.types.call import ToolCall
from interlock.types.route import Route

A, B, C = (f"sha256:{digit * 64}" for digit in "abc")
ASKED = DecideInput(
    run="run-1",
    tenant="default",
    workflow="agent_run",
    requester="user:alice",
    manifest=C,
    call_id="run-1:c1",
    agent="tester",
    tool="note",
    arguments=A,
    workspace=C,
    tool_digest=B,
    bundle=B,
    so_far=RunSoFar(),
    time="2026-01-01T00:00:00+00:00",
)
CALL = ToolCall(
    tenant="default",
    run="run-1",
    call_id="run-1:c1",
    agent="agent:tester",
    tool="note",
    tool_digest=B,
    arguments=A,
    workspace="",
)
ALLOWED = Decision(verdict="allow", rule="notes", reason="", bundle=B, request=C)


def answer(decision: Decision = ALLOWED, **changed: Any) -> DecideOutput:
    return DecideOutput(call=CALL.model_copy(update=changed), decision=decision)


def test_usual_decision_is_a_rule_and_a_request() -> None:
    assert Told.of(ASKED, answer()).model_dump(mode="json") == {"rule": "notes", "request": C}


ROUTE = Route(name="seniors", approvers=("user:carol",), expires_after_s=60)
ANSWERS = {
    "usual": answer(),
    "files": answer(workspace=C),
    "other arguments": answer(arguments=C),
    "unknown tool source": answer(tool_digest=C),
    "another tool": answer(tool="interlock.hand_off"),
    "another bundle": answer(ALLOWED.model_copy(update={"bundle": A})),
    "ask": answer(Decision(verdict="ask", rule="asks", reason="why", route=ROUTE, bundle=B, request=C)),
    "deny": answer(
        Decision(
            verdict="deny",
            reason="no rule",
            nearest=NearestRule(rule="r", clause="c", source="s:1"),
            condition_errors=("amount: no number",),
            bundle=B,
            request=C,
        )
    ),
    "labels": DecideOutput(call=CALL, decision=ALLOWED, carried=("secret",)),
    "no call": DecideOutput(invalid="text is missing"),
    "no tool": DecideOutput(invalid="there is no tool", unknown_tool=True),
}


@pytest.mark.parametrize("given", ANSWERS.values(), ids=ANSWERS.keys())
def test_workflow_reads_what_was_decided(given: DecideOutput) -> None:
    told = Told.model_validate_json(Told.of(ASKED, given).model_dump_json())
    assert told.whole(ASKED) == given


@pytest.mark.parametrize(("recorded", "counts"), [(8, True), (9, False), (7, False)])
def test_decision_counts_while_only_the_reply_followed(
    monkeypatch: pytest.MonkeyPatch, recorded: int, counts: bool
) -> None:
    """A pause, a signal or another agent's call may have changed what it took as known: then it is made again."""

    async def again(asked: DecideInput) -> DecideOutput:
        return DecideOutput(invalid="decided again")

    monkeypatch.setattr(proposal, "decide", again)
    told = Told.of(ASKED, answer()).model_copy(update={"events": 7}).model_dump(mode="json")
    run: Any = SimpleNamespace(chain=SimpleNamespace(seq=recorded))
    decided = asyncio.run(proposal._decided(run, told, ASKED))
    assert (decided.call == CALL) == counts
