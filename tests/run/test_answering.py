"""What a person may answer: held to the choices or the model that the question names, when given and when read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, Field
from support.runtime import Runtime, eventually, running, settings_for
from support.scenario import ASKS, Tool, allow, call, playbook, project
from support.verifying import verified

from interlock.audit import ApprovalRow
from interlock.digest import parse
from interlock.errors import InvalidInput, Unreachable
from interlock.run import governed
from interlock.run.answering import Expected, fitted
from interlock.run.contracts import ASK_TOOL
from interlock.run.histories import executions, fetch_history
from interlock.run.inbox import request_card
from interlock.run.proposal import call_digest
from interlock.run.question import check_answer
from interlock.run.under_way import QuestionUnderWay
from interlock.types.call import ToolCall

TOOLS = {"note": Tool("return f'noted {text}'", 'action="read"')}
RULES = [allow("note"), ASKS]
AGENTS: dict[str, Any] = {
    "noter": playbook(*(call("note", text=f"n{number}") for number in range(8))),
    "quick": [{"say": "done"}],
}
HEAD = '''"""Asks."""

from datetime import date

from pydantic import BaseModel, Field, field_validator

from interlock.workflow import Workflow, workflow


class Item(BaseModel, extra="forbid"):
    """What is paid back."""

    name: str
    count: int = Field(ge=1)


class Refund(BaseModel, extra="forbid", strict=True):
    """What people answer."""

    amount: int = Field(ge=1, le=100)
    due: date
    items: list[Item] = []

    @field_validator("amount")
    @classmethod
    def even(cls, amount):
        if amount % 2:
            raise ValueError("odd amounts are not paid")
        return amount


@workflow("{name}", agents=["noter", "quick"])
class Asks(Workflow):
    """Asks."""

    async def steps(self, task):
'''
BODIES = {
    "chooses": """
        answer = await self.ask("quick", "Ship?", choices=["ship", "hold"])
        return await self.agent("quick", answer)
""",
    "refunds": """
        answer = await self.ask("quick", "How much?", answer=Refund)
        return await self.agent("quick", [answer.amount, answer.due.year, len(answer.items)])
""",
    "refunds_late": """
        _, answer = await self.all(self.agent("noter", "one"), self.ask("quick", "How much?", answer=Refund))
        return await self.agent("quick", [answer.amount, answer.due.year, len(answer.items)])
""",
    "asks_twice": """
        first = await self.ask("quick", "Ship?", choices=["ship", "hold"])
        second = await self.ask("quick", "Ship?", choices=["today", "tomorrow"])
        third = await self.ask("quick", "Ship?")
        return await self.agent("quick", [first, second, third])
""",
    "errs": """
        await self.ask("quick", "Ship?", choices="ship")
""",
}
GOOD = {"amount": 12, "due": "2027-03-01", "items": [{"name": "cup", "count": 2}]}


@pytest.fixture(scope="module", params=[450, 15], ids=["one execution", "many executions"])
async def runtime(
    temporal_address: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[Runtime]:
    root = project(tmp_path_factory.mktemp("answering") / "project", TOOLS, AGENTS, RULES)
    for name, body in BODIES.items():
        (root / "workflows" / f"{name}.py").write_text(HEAD.replace("{name}", name) + body.lstrip("\n"))
    options = {"name": f"answering-{request.param}", "events_an_execution": request.param}
    async with running(settings_for(root, temporal_address, **options)) as found:
        yield found


async def respond(runtime: Runtime, row: ApprovalRow, answer: Any) -> None:
    message = answer if isinstance(answer, str) else json.dumps(answer)
    await runtime.client.decide(row, "respond", approver="user:carol", message=message)


async def given(runtime: Runtime, run: str) -> Any:
    """What the workflow made of the answer: the task that it gave to its last agent."""
    outcome = await runtime.client.wait(run)
    assert outcome.status == "completed", outcome.detail
    await verified(runtime, run)
    started = [event for event in runtime.ledger.events(run) if event.kind == "agent.started"]
    return parse(runtime.blobs.of(run).get(started[-1].task))


@pytest.mark.temporal
async def test_only_a_choice_is_an_answer(runtime: Runtime) -> None:
    run = await runtime.start("chooses", None)
    row = await runtime.approval(run)
    for wrong in ("Ship", "ship it", '"ship"', " "):
        with pytest.raises(InvalidInput, match="message"):
            await respond(runtime, row, wrong)
    await respond(runtime, row, "ship")
    assert await given(runtime, run) == "ship"
    assert runtime.kinds(run).count("approval.decided") == 1


WRONG = [
    ("yes", "message: not JSON"),
    ([12], r"message: \[12\] is not of type 'object'"),
    ({"due": "2027-03-01"}, "message: 'amount' is a required property"),
    ({**GOOD, "amount": "12"}, "amount: '12' is not of type 'integer'"),
    ({**GOOD, "amount": 1000}, "amount: 1000 is greater than the maximum of 100"),
    ({**GOOD, "items": [{"name": "cup", "count": 0}]}, r"items\.0\.count: 0 is less than the minimum"),
    ({**GOOD, "whom": "bob"}, "'whom' was unexpected"),
    # What no schema says, the model does.
    ({**GOOD, "amount": 13}, "amount: .*odd amounts are not paid"),
    ({**GOOD, "due": "soon"}, "due: .*valid date"),
]


@pytest.mark.temporal
@pytest.mark.parametrize("name", ["refunds", "refunds_late"])
async def test_only_what_fits_the_model_is_an_answer(runtime: Runtime, name: str) -> None:
    run = await runtime.start(name, None)
    row = await runtime.approval(run)
    if name == "refunds_late":  # the question may have been opened by an execution before
        await eventually(lambda: runtime.kinds(run).count("call.finished") >= 7)
    for wrong, why in WRONG:
        with pytest.raises(InvalidInput, match=why):
            await respond(runtime, row, wrong)
    await respond(runtime, row, GOOD)
    assert await given(runtime, run) == [12, 2027, 1]
    if name == "refunds_late" and runtime.settings.events_an_execution < 100:
        assert len(executions(await fetch_history(runtime.temporal, run))) > 1


@pytest.mark.temporal
async def test_question_that_expects_an_answer_can_be_rejected(runtime: Runtime) -> None:
    run = await runtime.start("refunds", None)
    row = await runtime.approval(run)
    await runtime.client.decide(row, "reject", approver="user:carol", message="ask the bank")
    outcome = await runtime.client.wait(run)
    assert "ask the bank" in outcome.detail
    await verified(runtime, run)


@pytest.mark.temporal
async def test_what_is_expected_tells_questions_apart(runtime: Runtime) -> None:
    run = await runtime.start("asks_twice", None)
    for answer in ("hold", "tomorrow", "whatever"):
        await respond(runtime, await runtime.approval(run), answer)
        await eventually(lambda answer=answer: _answered(runtime, run, answer))
    assert await given(runtime, run) == ["hold", "tomorrow", "whatever"]


def _answered(runtime: Runtime, run: str, message: str) -> bool:
    events = runtime.ledger.events(run)
    return any(event.kind == "approval.decided" and event.message == message for event in events)


@pytest.mark.temporal
async def test_approver_sees_what_is_expected(runtime: Runtime) -> None:
    run = await runtime.start("chooses", None)
    row = await runtime.approval(run)
    card = request_card(row, runtime.settings, runtime.ledger, runtime.blobs, now=row.requested_at)
    assert card.exact_arguments == {"question": "Ship?", "choices": ["ship", "hold"]}
    await respond(runtime, row, "hold")
    assert await given(runtime, run) == "hold"


@pytest.mark.temporal
async def test_choices_that_are_none_fail_the_run(runtime: Runtime) -> None:
    run = await runtime.start("errs", None)
    outcome = await runtime.client.wait(run)
    assert outcome.status == "failed"
    assert "choices: name at least one, in a list" in outcome.detail


@pytest.mark.temporal
async def test_workflow_does_not_read_what_does_not_fit(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that takes an answer without asking gets no further with it."""
    run = await runtime.start("refunds", None)
    row = await runtime.approval(run)
    monkeypatch.setattr(governed, "check_answer", lambda run, claims: None)
    await respond(runtime, row, {**GOOD, "amount": 1000})
    outcome = await runtime.client.wait(run)
    assert outcome.status == "failed"
    assert "amount: 1000 is greater than the maximum of 100" in outcome.detail
    await verified(runtime, run)


def test_answer_waits_until_its_model_is_known() -> None:
    """A new execution takes people's decisions before its `steps` has come to the question again."""
    digest = f"sha256:{'0' * 64}"
    call = ToolCall(
        tenant="default",
        run="r",
        call_id="r:c1",
        agent="agent:a",
        tool=ASK_TOOL,
        tool_digest=digest,
        arguments=digest,
        workspace="",
    )
    asked = QuestionUnderWay(agent="a", question="How much?", call=call, expected=Expected.of(None, Words))
    claims = SimpleNamespace(about="question", verdict="respond", call=call_digest(call), message='{"words": {}}')
    run: Any = SimpleNamespace(questions_under_way={"at": asked}, answer_models={})
    with pytest.raises(Unreachable, match="try again"):
        check_answer(run, claims)  # type: ignore[arg-type]
    run.answer_models["at"] = Words
    check_answer(run, claims)  # type: ignore[arg-type]


class Share(BaseModel):
    """What has no canonical form."""

    part: float = Field(default=0.5, ge=0.25)


class Words(BaseModel):
    """An object of any words."""

    words: dict[str, str] = {}


@pytest.mark.parametrize(
    ("choices", "model", "why"),
    [
        ([], None, "name at least one"),
        (["a", "a"], None, "a text of its own"),
        (["a", " "], None, "a text of its own"),
        (["a", 1], None, "a text of its own"),
        (["a"], Words, "not both"),
        (None, Share, "schema of Share cannot be asked"),
    ],
)
def test_what_cannot_be_expected_is_refused(choices: Any, model: Any, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        Expected.of(choices, model)


def test_plain_question_says_nothing_of_its_answer() -> None:
    """Its arguments, and so its digest, are those of every version before."""
    assert Expected.of(None, None).arguments() == {}
    assert Expected().read("anything") == "anything"


def test_answer_is_json_as_everything_here_is() -> None:
    expected = Expected.of(None, Words)
    assert fitted(Words, expected.read('{"words": {"a": "b"}}')).words == {"a": "b"}
    for wrong in ('{"words": {}, "words": {}}', '{"words": 0.5}', "[" * 100, ""):
        with pytest.raises(InvalidInput, match="message"):
            expected.read(wrong)
