"""Bad input and missing parts: a clear error, or a result that the agent can read; no run is lost, none hangs."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from support.provider import Provider, error_reply, openai_reply, provider
from support.runtime import Runtime, eventually, running, settings_for
from support.scenario import SETTLES, Tool, allow, ask, call, playbook, project, write_rules

from interlock.errors import InvalidInput, PolicyError, SandboxUnavailable, Unreachable
from interlock.run.connection import connect
from interlock.run.examine import _policy
from interlock.run.histories import fetch_history

pytestmark = pytest.mark.temporal

TOOLS = {
    "note": Tool("return f'noted {len(text)}'", parameters="text: str, times: int = 1"),
    "fail": Tool("raise ValueError(f'no such thing as {text}')"),
    "odd": Tool("return b'\\xff\\x00'.decode('utf-8', 'surrogateescape')"),
    "send": Tool("return f'sent {text}'"),
}
RULES = [allow("note"), allow("fail"), allow("odd"), ask("send"), SETTLES]
MANY = playbook(*(call("note", text=str(number)) for number in range(6)))
AGENTS: dict[str, Any] = {
    "forgetful": playbook({"tool": "note", "arguments": {}}),
    "wrong": playbook(call("note", text=["a", "list"]), call("note", text="x", times="many")),
    "chatty": playbook(call("note", text="x", mood="good")),
    "unlucky": playbook(call("fail", text="luck"), call("odd", text="")),
    "lost": playbook(call("nota", text="x"), call("interlock.settle", text="x")),
    "broken": [{"say": "one", "calls": [{"tool": "note", "arguments": '{"text": "unfinis'}]}, {"say": "done"}],
    "noter": playbook(call("note", text="a"), call("note", text="bb")),
    "sender": playbook(call("send", text="hello")),
    "stepper": MANY,
    "spender": MANY,
    "free": [{"say": "unused"}],
}
LIMITS = {"stepper": "max_steps=3", "spender": "max_tokens=5", "free": 'model="openai:m"'}
WORKFLOW = '''"""A workflow of the tests."""

from interlock.workflow import Workflow, workflow


@workflow("{name}", agents=["noter"])
class W(Workflow):
    """Goes wrong."""

    async def steps(self, task):
        {body}
'''
WORKFLOWS = {
    "raises": 'raise KeyError("no such customer")',
    "reads": 'return open("/etc/hostname").read()',
    "strays": 'return await self.agent("stranger", "go")',
    "answers": "return 7",
}


class Driver:
    """The driver; while `reason` is set there is no sandbox."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.reason = ""
        self.ran: list[str] = []
        self.door = asyncio.Event()
        self.door.set()

    async def run(self, call: Any, *more: Any) -> Any:
        if self.reason:
            raise SandboxUnavailable(self.reason)
        self.ran.append(call.call_id)
        await self.door.wait()
        return await self.inner.run(call, *more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.fixture(scope="module")
def model() -> Iterator[Provider]:
    with provider(openai_reply("done")) as found:
        yield found


@pytest.fixture(scope="module")
async def runtime(
    temporal_address: str, tmp_path_factory: pytest.TempPathFactory, model: Provider
) -> AsyncIterator[Runtime]:
    root = project(tmp_path_factory.mktemp("bad") / "project", TOOLS, AGENTS, RULES, limits=LIMITS)
    for name, body in WORKFLOWS.items():
        (root / "workflows" / f"{name}.py").write_text(WORKFLOW.format(name=name, body=body))
    async with running(settings_for(root, temporal_address, name="bad", model_base_url=f"{model.url}/v1")) as found:
        found.executor.driver = Driver(found.executor.driver)
        yield found


@pytest.fixture
def driver(runtime: Runtime) -> Driver:
    found = runtime.executor.driver
    assert isinstance(found, Driver)
    return found


async def ended(runtime: Runtime, run: str) -> Any:
    """The run's outcome; its record must hold."""
    outcome = await asyncio.wait_for(runtime.client.wait(run), 60)
    verdict = await runtime.verdict(run)
    assert verdict.verified, verdict.differences
    assert not verdict.open
    return outcome


def told(runtime: Runtime, run: str) -> list[str]:
    """What the agent read of each call."""
    return [
        runtime.text(event.output) if event.kind == "call.finished" else f"{event.by}: {event.detail}"
        for event in runtime.ledger.events(run)
        if event.kind in ("call.finished", "call.refused")
    ]


async def completed(runtime: Runtime, agent: str) -> list[str]:
    run = await runtime.start(agent, "go")
    assert (await ended(runtime, run)).status == "completed"
    return told(runtime, run)


# -- what people and models give ---------------------------------------------------------------------------


async def test_unknown_agent_is_suggested(runtime: Runtime) -> None:
    with pytest.raises(InvalidInput, match="did you mean 'noter'"):
        await runtime.start("notre", "go")


async def test_missing_argument_is_named(runtime: Runtime) -> None:
    (text,) = await completed(runtime, "forgetful")
    assert text.startswith("schema:")
    assert "'text' is a required property" in text


async def test_wrong_type_is_named(runtime: Runtime) -> None:
    first, second = await completed(runtime, "wrong")
    assert "text: ['a', 'list'] is not of type 'string'" in first
    assert "times: 'many' is not of type 'integer'" in second


async def test_unknown_argument_is_named(runtime: Runtime) -> None:
    (text,) = await completed(runtime, "chatty")
    assert "mood" in text


async def test_unknown_tool_is_suggested(runtime: Runtime) -> None:
    first, second = await completed(runtime, "lost")
    assert first.startswith("unknown_tool: there is no tool 'nota' (did you mean 'note'")
    assert "settle" in second


async def test_built_in_tool_is_not_for_models(runtime: Runtime, model: Provider) -> None:
    """A model that could propose them would ask people in the engine's name."""
    question = openai_reply("", ("1", "interlock-settle", '{"call_id": "x", "tool": "x", "reason": "x"}'))
    model.answers = [question, openai_reply("done")]
    run = await runtime.start("free", "go")
    assert (await ended(runtime, run)).status == "completed"
    (text,) = told(runtime, run)
    assert text == "unknown_tool: there is no tool 'interlock.settle'"
    assert runtime.ledger.approvals(run=run) == []


async def test_broken_json_is_shown(runtime: Runtime) -> None:
    (text,) = await completed(runtime, "broken")
    assert "not a JSON object" in text
    assert "unfinis" in text


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ('{"text": "x"', "not a JSON object"),
        ('{"text": 1e400}', ""),
        ('{"text": NaN}', ""),
        ('{"text": "\\ud800"}', ""),
        ('{"text": "a", "text": "b", "times": 9007199254740993}', ""),
        ("{" * 5000, "not a JSON object"),
    ],
    ids=["cut", "infinite", "NaN", "surrogate", "large", "deep"],
)
async def test_malformed_call_is_answered(runtime: Runtime, model: Provider, arguments: str, reason: str) -> None:
    model.answers = [openai_reply("", ("1", "note", arguments)), openai_reply("sorry")]
    run = await runtime.start("free", "go")
    assert (await ended(runtime, run)).status == "completed"
    (text,) = told(runtime, run)
    assert text.startswith("schema:")
    assert reason in text


async def test_huge_argument_fails_in_words(runtime: Runtime, model: Provider) -> None:
    """No provider lets a model write so much: it is nothing that a model could mend."""
    huge = '{"text": "' + "x" * 10_000_000 + '"}'
    model.answers = [openai_reply("", ("1", "note", huge)), openai_reply("shorter then")]
    run = await runtime.start("free", "go")
    outcome = await ended(runtime, run)
    assert outcome.status == "failed"
    assert "bytes as canonical JSON, the limit is" in outcome.detail
    history = await fetch_history(runtime.temporal, run)
    assert len(history.to_json()) < 500_000


async def test_large_argument_runs(runtime: Runtime, model: Provider) -> None:
    large = '{"text": "' + "x" * 1_000_000 + '"}'
    model.answers = [openai_reply("", ("1", "note", large)), openai_reply("done")]
    run = await runtime.start("free", "go")
    assert (await ended(runtime, run)).status == "completed"
    assert told(runtime, run) == ["noted 1000000"]
    history = await fetch_history(runtime.temporal, run)
    assert len(history.to_json()) < 500_000


async def test_huge_edit_is_refused(runtime: Runtime) -> None:
    run = await runtime.start("sender", "go")
    request = await runtime.approval(run)
    with pytest.raises(InvalidInput, match="bytes"):
        await runtime.client.decide(request, "edit", approver="user:carol", edited={"text": "x" * 10_000_000})
    await runtime.client.decide(request, "approve", approver="user:carol")
    assert (await ended(runtime, run)).status == "completed"


async def test_huge_task_is_refused(runtime: Runtime) -> None:
    with pytest.raises(InvalidInput, match="bytes"):
        await runtime.start("noter", "x" * 10_000_000)


async def test_refusing_provider_fails_the_run(runtime: Runtime, model: Provider) -> None:
    model.answers = [error_reply(400)]
    run = await runtime.start("free", "go")
    outcome = await ended(runtime, run)
    assert outcome.status == "failed"
    assert "refused with 400" in outcome.detail


async def test_failing_provider_is_asked_again(runtime: Runtime, model: Provider) -> None:
    model.answers = [error_reply(503), error_reply(503), openai_reply("here I am")]
    run = await runtime.start("free", "go")
    outcome = await ended(runtime, run)
    assert outcome.status == "completed"
    assert "here I am" in runtime.text(outcome.result)


async def test_raising_tool_is_read(runtime: Runtime) -> None:
    first, second = await completed(runtime, "unlucky")
    assert "The call failed: error." in first
    assert "ValueError: no such thing as luck" in first
    assert "The call failed: error." in second


# -- limits of an agent, errors of a workflow --------------------------------------------------------------


@pytest.mark.parametrize(("agent", "limit"), [("stepper", "max_steps"), ("spender", "max_tokens")])
async def test_spent_limit_ends_the_run(runtime: Runtime, agent: str, limit: str) -> None:
    run = await runtime.start(agent, "go")
    outcome = await ended(runtime, run)
    assert outcome.status == "failed"
    assert limit in outcome.detail
    assert len(runtime.ledger.calls(run)) < 6


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("raises", "no such customer"),
        ("reads", "open"),
        ("strays", "names no agent 'stranger'"),
        ("answers", "int"),
    ],
)
async def test_wrong_workflow_fails_with_its_reason(runtime: Runtime, name: str, reason: str) -> None:
    run = await runtime.start(name, "go")
    outcome = await ended(runtime, run)
    assert outcome.status == "failed"
    assert reason in outcome.detail
    assert reason in runtime.ledger.run(run).detail


# -- parts that are missing --------------------------------------------------------------------------------


async def test_run_waits_for_a_sandbox(runtime: Runtime, driver: Driver) -> None:
    driver.reason = "no Docker engine answers"
    run = await runtime.start("noter", "go")
    for _ in range(100):
        if seen := await runtime.client.obstacles(run):
            break
        await asyncio.sleep(0.1)
    assert "interlock.execute_call" in seen[0]
    assert "no Docker engine answers" in seen[0]
    assert driver.ran == [name for name in driver.ran if not name.startswith(run)]
    driver.reason = ""
    assert (await ended(runtime, run)).status == "completed"
    assert told(runtime, run) == ["noted 1", "noted 2"]


async def test_run_waits_for_its_ledger(runtime: Runtime, driver: Driver) -> None:
    """Somebody holds the ledger's write lock: nothing may run that is not on record."""
    other = sqlite3.connect(runtime.settings.state_folder / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        run = await runtime.start("noter", "go")
        await asyncio.sleep(3)
        assert not any(name.startswith(run) for name in driver.ran)
        assert (await runtime.client.handle(run).describe()).close_time is None
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert (await ended(runtime, run)).status == "completed"
    assert told(runtime, run) == ["noted 1", "noted 2"]


async def test_broken_ledger_lets_nothing_run(runtime: Runtime, driver: Driver) -> None:
    """The database cannot be written; the reason can be seen, and the run goes on when it is mended."""
    with sqlite3.connect(runtime.settings.state_folder / "ledger.db") as other:
        other.execute("ALTER TABLE events RENAME TO hidden")
    run = await runtime.start("noter", "go")
    try:
        for _ in range(100):
            if seen := await runtime.client.obstacles(run):
                break
            await asyncio.sleep(0.1)
        assert not any(name.startswith(run) for name in driver.ran)
    finally:
        with sqlite3.connect(runtime.settings.state_folder / "ledger.db") as other:
            other.execute("ALTER TABLE hidden RENAME TO events")
    assert "no such table" in seen[0]
    assert (await ended(runtime, run)).status == "completed"


async def test_absent_temporal_is_named(runtime: Runtime) -> None:
    nowhere = runtime.settings.model_copy(update={"temporal_address": "127.0.0.1:1"})
    with pytest.raises(Unreachable, match=r"no Temporal server answers at 127.0.0.1:1") as error:
        await connect(nowhere)
    assert error.value.exit_code == 3
    assert "interlock dev" in error.value.next_step


# -- a policy that changes under a run ---------------------------------------------------------------------


async def test_broken_policy_keeps_the_old(runtime: Runtime) -> None:
    rules = runtime.settings.root / "permissions" / "rules.yaml"
    before = rules.read_text()
    run = await runtime.start("sender", "go")
    request = await runtime.approval(run)
    rules.write_text(before + "  - {id: broken, effect: perhaps}\n")
    try:
        await eventually(lambda: runtime.executor.policy.current() and runtime.executor.policy.problem)
        with pytest.raises(PolicyError, match=r"rules.yaml:\d+"):
            _policy(runtime.settings)  # what `interlock doctor` looks at
        await runtime.client.decide(request, "approve", approver="user:carol")
        outcome = await ended(runtime, run)
    finally:
        rules.write_text(before)
    assert outcome.status == "completed"
    assert told(runtime, run) == ["sent hello"]


async def test_revoked_policy_denies_the_next_call(runtime: Runtime, driver: Driver) -> None:
    driver.door.clear()
    run = await runtime.start("noter", "go")
    await eventually(lambda: f"{run}:c1" in driver.ran)
    old = runtime.executor.policy.current().digest
    write_rules(runtime.settings.root, [rule for rule in RULES if rule["tool"] != "note"])
    try:
        await eventually(lambda: runtime.executor.policy.current().digest != old)
        await asyncio.sleep(0.5)  # the graph worker looks by itself
        driver.door.set()
        outcome = await ended(runtime, run)
    finally:
        write_rules(runtime.settings.root, RULES)
    assert outcome.status == "completed"
    first, second = told(runtime, run)
    assert first == "noted 1"
    assert second.startswith("policy:")
    assert driver.ran.count(f"{run}:c2") == 0
    await eventually(lambda: runtime.executor.policy.current().digest == old)


async def test_revoked_approval_does_not_run(runtime: Runtime, driver: Driver) -> None:
    """What was asked and approved under the old policy is denied under the one in force."""
    run = await runtime.start("sender", "go")
    request = await runtime.approval(run)
    old = runtime.executor.policy.current().digest
    write_rules(runtime.settings.root, [rule for rule in RULES if rule["tool"] != "send"])
    try:
        await eventually(lambda: runtime.executor.policy.current().digest != old)
        await runtime.client.decide(request, "approve", approver="user:carol")
        outcome = await ended(runtime, run)
    finally:
        write_rules(runtime.settings.root, RULES)
    assert outcome.status == "completed"
    (text,) = told(runtime, run)
    assert text.startswith("executor:")
    assert not any(name.startswith(run) for name in driver.ran)
