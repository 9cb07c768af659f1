"""A hand-off outlives an execution of its run's workflow, an executor, and whoever claims that it is over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.runtime import Runtime, eventually, running, settings_for
from support.scenario import ASKS, SETTLES, Tool, allow, call, playbook, project

from interlock.events import CallFinished, CallProposed, CallRefused
from interlock.run.hand_off import CHILD_ENDED
from interlock.run.histories import executions, fetch_history
from interlock.run.replay import replay

pytestmark = pytest.mark.temporal

TOOLS = {
    "note": Tool("return f'noted {text}'", 'action="read", idempotent=True'),
    "wait": Tool("time.sleep(0.3)\nreturn text", 'action="read", idempotent=True'),
}
RULES: list[dict[str, Any]] = [
    allow("note"),
    allow("wait"),
    ASKS,
    SETTLES,
    {
        "id": "to_waiters",
        "effect": "allow",
        "agent": "agent:noter",
        "tool": "interlock.hand_off",
        "action": "hand_off",
        "resource": "agent:waiter",
    },
    {"id": "asked", "effect": "ask", "agent": "agent:asking", "tool": "interlock.hand_off", "route": "seniors"},
]
AGENTS: dict[str, Any] = {
    "noter": playbook(*[call("note", text=f"n{number}") for number in range(24)]),
    "waiter": playbook(*[call("wait", text=str(number)) for number in range(12)]),
    "answerer": playbook(call("note", text="x")),
    "asking": playbook(call("hand_off_to_waiter", task="wait")),
    "daring": playbook(call("hand_off_to_answerer", task="x")),
}
LIMITS = {
    "noter": 'hand_off=["waiter", "answerer"], max_steps=100',
    "asking": 'hand_off=["waiter", "answerer"]',
    "daring": 'hand_off=["answerer"]',
}
WORKFLOW = '''
import asyncio

from interlock.workflow import Workflow, workflow


@workflow("beside", agents=["noter"])
class Beside(Workflow):
    """An agent works on while another does what was handed on to it."""

    async def steps(self, task):
        _, done = await asyncio.gather(self.agent("noter", "a"), self.hand_off("noter", "waiter", "b"))
        return done
'''


@pytest.fixture(scope="module")
async def runtime(temporal_address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runtime]:
    root = project(tmp_path_factory.mktemp("hand-off-long") / "project", TOOLS, AGENTS, RULES, limits=LIMITS)
    (root / "workflows" / "beside.py").write_text(WORKFLOW)
    settings = settings_for(root, temporal_address, name="handofflong", events_an_execution=40)
    async with running(settings) as found:
        yield found


def ended(runtime: Runtime, run: str) -> list[CallFinished]:
    return [event for event in runtime.ledger.events(run) if isinstance(event, CallFinished)]


def handed(runtime: Runtime, run: str) -> list[CallProposed]:
    events = [event for event in runtime.ledger.events(run) if isinstance(event, CallProposed)]
    return [event for event in events if event.tool == "interlock.hand_off"]


async def test_hand_off_outlives_executions(runtime: Runtime) -> None:
    run = await runtime.start("beside", None)
    assert (await runtime.client.wait(run)).status == "completed"
    (row,) = runtime.ledger.hand_offs(run)
    assert len(handed(runtime, run)) == 1
    (finished,) = [event for event in ended(runtime, run) if event.child is not None]
    assert (finished.status, finished.child and finished.child.status) == ("ok", "completed")
    for name in (run, row.child):
        history = await fetch_history(runtime.temporal, name)
        assert len(executions(history)) >= 2
        found = await replay(
            name, runtime.settings, runtime.ledger, runtime.blobs, history=history, content=runtime.content
        )
        assert found.verified, found.differences


async def test_another_executor_ends_it(runtime: Runtime) -> None:
    run = await runtime.start("asking", "go")
    request = await runtime.approval(run)
    await runtime.client.decide(request, "approve", approver="user:carol")
    await eventually(lambda: ended(runtime, f"{run}.s1"))
    name = runtime.executor.name
    runtime.executor.name = "another"
    try:
        assert (await runtime.client.wait(run)).status == "completed"
    finally:
        runtime.executor.name = name
    assert [event.status for event in ended(runtime, run)] == ["ok"]
    (record,) = runtime.ledger.calls(run)
    assert (record.executor, record.attempt) == ("another", 2)


async def test_approver_names_another_agent(runtime: Runtime) -> None:
    run = await runtime.start("asking", "go")
    request = await runtime.approval(run)
    edited = {"agent": "answerer", "task": "be quick"}
    await runtime.client.decide(request, "edit", approver="user:carol", edited=edited)
    second = await eventually(
        lambda: next((one for one in runtime.ledger.approvals(run=run) if one.call_id != request.call_id), None)
    )
    await runtime.client.decide(second, "approve", approver="user:carol")
    assert (await runtime.client.wait(run)).status == "completed"
    assert [row.agent for row in runtime.ledger.hand_offs(run)] == ["answerer"]


async def test_claimed_end_is_not_believed(runtime: Runtime) -> None:
    run = await runtime.start("asking", "go")
    request = await runtime.approval(run)
    await runtime.client.decide(request, "approve", approver="user:carol")
    child = f"{run}.s1"
    await eventually(lambda: ended(runtime, child))
    handle = runtime.temporal.get_workflow_handle(run)
    for name in (child, child, "another", ""):
        await handle.signal(CHILD_ENDED, name)
    assert (await runtime.client.wait(run)).status == "completed"
    (finished,) = ended(runtime, run)
    assert finished.child is not None
    assert (finished.child.status, finished.child.count) == ("completed", runtime.ledger.head(child).count)


async def test_hand_off_that_no_rule_allows(runtime: Runtime) -> None:
    run = await runtime.start("daring", "go")
    assert (await runtime.client.wait(run)).status == "completed"
    (refused,) = [event for event in runtime.ledger.events(run) if isinstance(event, CallRefused)]
    assert refused.by == "policy"
    assert "agent is 'agent:daring'" in refused.detail
    assert not runtime.ledger.hand_offs(run)
