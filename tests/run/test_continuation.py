"""A long run goes on in new executions of its workflow, and nothing is lost, done twice or told otherwise."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from support.runtime import Runtime, eventually, running, settings_for
from support.scenario import ASKS, SETTLES, Tool, allow, ask, call, playbook, project
from temporalio.client import WorkflowHistory
from temporalio.converter import WorkflowSerializationContext
from temporalio.service import RPCError

from interlock.errors import Conflict
from interlock.graph import ProposedCall
from interlock.run.carried import Carried, CarriedRequest
from interlock.run.contracts import AGENT_RUN, RunInput
from interlock.run.histories import executions, fetch_history
from interlock.run.inbox import verified as verified_now
from interlock.run.under_way import CallUnderWay

pytestmark = pytest.mark.temporal

MANY = 24
TOOLS = {
    "note": Tool("return f'noted {text}'", 'action="read", idempotent=True'),
    "send": Tool("return f'sent {text}'", 'action="publish"'),
    "rush": Tool("return f'rushed {text}'", 'action="publish"'),
    "spend": Tool("return f'spent {text}'", 'action="pay"'),
    "save": Tool("Path(text).write_text(text)\nreturn 'saved'", 'action="write", workspace="write"'),
}
NOTES = [call("note", text=f"n{number}") for number in range(MANY)]
RULES = [allow("note"), allow("save"), ask("send"), ask("rush", "hasty"), ASKS, SETTLES]
RULES += [
    {"id": "few", "effect": "deny", "tool": "spend", "when": [{"count": {"tool": "spend"}, "gt": 40}]},
    allow("spend"),
]
AGENTS: dict[str, Any] = {
    "noter": playbook(*NOTES),
    "sender": playbook(*NOTES[:6], call("send", text="hello"), *NOTES[:6]),
    "rusher": playbook(*NOTES[:6], call("rush", text="hello"), *NOTES[:6]),
    "spender": playbook(*(call("spend", text=f"s{number}") for number in range(41))),
    "saver": playbook(*(call("save", text=f"{number}.txt") for number in range(8))),
    "asker": [{"say": "all", "calls": [call("send", text=f"m{n}") for n in range(12)]}, {"say": "done"}],
    "mixed": [
        {"say": "all", "calls": [call("send", text="one"), call("send", text="two"), *NOTES[:2]]},
        {"say": "done"},
    ],
}
LIMITS = {"noter": "max_steps=100"}
WORKFLOWS = {
    "beside": '''
import asyncio

from interlock.workflow import Workflow, workflow


@workflow("beside", agents=["noter", "sender"])
class Beside(Workflow):
    """One agent waits for a person while another works on."""

    async def steps(self, task):
        await asyncio.gather(self.agent("noter", "a"), self.agent("sender", "b"))
''',
    "crowd": '''
from interlock.workflow import Workflow, workflow


@workflow("crowd", agents=["noter", "asker"])
class Crowd(Workflow):
    """People decide while another agent keeps the run going on."""

    async def steps(self, task):
        await self.all(self.agent("noter", "a"), self.agent("asker", "b"))
''',
    "after": '''
from interlock.workflow import Workflow, workflow


@workflow("after", agents=["noter"])
class After(Workflow):
    """One turn after the other, the same one twice, and a question."""

    async def steps(self, task):
        first = await self.agent("noter", "a")
        answer = await self.ask("noter", "go on?")
        second = await self.agent("noter", answer)
        third = await self.agent("noter", answer)
        return third if first.status == second.status else first
''',
}


@pytest.fixture(scope="module")
async def runtime(temporal_address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runtime]:
    root = project(tmp_path_factory.mktemp("continuation") / "project", TOOLS, AGENTS, RULES, limits=LIMITS)
    for name, source in WORKFLOWS.items():
        (root / "workflows" / f"{name}.py").write_text(source)
    settings = settings_for(root, temporal_address, name="continuation", events_an_execution=25)
    async with running(settings) as found:
        yield found


async def verified(runtime: Runtime, run: str, *, executions_at_least: int = 2) -> None:
    """Every run of these tests ends here: one chain over several executions, each call once."""
    history = await fetch_history(runtime.temporal, run)
    found = await runtime.verdict(run, history)
    assert found.verified, found.differences
    assert len(executions(history)) >= executions_at_least
    calls = Counter(event.call_id for event in runtime.ledger.events(run) if event.kind == "call.proposed")
    assert set(calls.values()) <= {1}
    assert all(row.attempt == 1 for row in runtime.ledger.calls(run))


async def test_long_run_is_one_chain(runtime: Runtime) -> None:
    run = await runtime.start("noter", "go")
    outcome = await runtime.client.wait(run)
    assert outcome.status == "completed"
    assert runtime.kinds(run).count("call.finished") == MANY
    assert runtime.kinds(run).count("agent.started") == 1
    await verified(runtime, run, executions_at_least=4)


async def test_open_request_is_carried_over(runtime: Runtime) -> None:
    run = await runtime.start("beside", None)
    request = await runtime.approval(run)
    # The last of them is committed with the call that waits.
    await eventually(lambda: runtime.kinds(run).count("call.finished") >= MANY + 5)
    await runtime.client.decide(request, "approve", approver="user:carol")
    assert (await runtime.client.wait(run)).status == "completed"
    assert runtime.kinds(run).count("approval.requested") == 1
    await verified(runtime, run)


async def test_decisions_count_at_any_moment(runtime: Runtime) -> None:
    run = await runtime.start("crowd", None)
    await eventually(lambda: len(runtime.ledger.approvals(run=run)) == 12)
    for request in runtime.ledger.approvals(run=run):
        await runtime.client.decide(request, "approve", approver="user:carol")
    assert (await runtime.client.wait(run)).status == "completed"
    assert runtime.kinds(run).count("approval.decided") == 12
    await verified(runtime, run)


async def test_calls_of_one_reply_are_carried_over(runtime: Runtime) -> None:
    run = await runtime.start("mixed", "go")
    await eventually(lambda: len(runtime.ledger.approvals(run=run)) == 2)
    for request in runtime.ledger.approvals(run=run):
        await runtime.client.decide(request, "approve", approver="user:carol")
    assert (await runtime.client.wait(run)).status == "completed"
    await verified(runtime, run, executions_at_least=1)


async def test_edited_call_is_carried_over(runtime: Runtime) -> None:
    run = await runtime.start("sender", "go")
    request = await runtime.approval(run)
    await runtime.client.decide(request, "edit", approver="user:carol", edited={"text": "bye"})
    again = await eventually(
        lambda: next((r for r in runtime.ledger.approvals(run=run) if r.request_id != request.request_id), None)
    )
    await runtime.client.decide(again, "approve", approver="user:dave")
    assert (await runtime.client.wait(run)).status == "completed"
    outputs = [runtime.text(e.output) for e in runtime.ledger.events(run) if e.kind == "call.finished"]
    assert sum("sent bye" in output for output in outputs) == 1
    await verified(runtime, run)


async def test_deadline_is_carried_over(runtime: Runtime) -> None:
    run = await runtime.start("rusher", "go")
    assert (await runtime.client.wait(run)).status == "completed"
    assert runtime.kinds(run).count("approval.expired") == 1
    await verified(runtime, run)


async def test_decided_request_stays_decided(runtime: Runtime) -> None:
    run = await runtime.start("sender", "go")
    request = await runtime.approval(run)
    await runtime.client.decide(request, "approve", approver="user:carol")
    await runtime.client.wait(run)
    with pytest.raises(Conflict):
        await runtime.client.decide(request, "reject", approver="user:dave", message="too late")
    await verified(runtime, run)


async def test_pause_is_carried_over(runtime: Runtime) -> None:
    run = await runtime.start("noter", "go")
    await eventually(lambda: runtime.kinds(run).count("call.finished") >= 3)
    await runtime.client.control(run, "pause", by="user:alice")
    await asyncio.sleep(1)
    held = len(runtime.kinds(run))
    await asyncio.sleep(1)
    assert len(runtime.kinds(run)) == held
    await runtime.client.control(run, "resume", by="user:alice")
    assert (await runtime.client.wait(run)).status == "completed"
    await verified(runtime, run)


async def test_later_execution_is_cancelled(runtime: Runtime) -> None:
    run = await runtime.start("sender", "go")
    await runtime.approval(run)
    await runtime.client.control(run, "cancel", by="user:alice", reason="enough")
    assert (await runtime.client.wait(run)).status == "cancelled"
    await verified(runtime, run)


async def test_steps_that_ended_are_not_done_again(runtime: Runtime) -> None:
    run = await runtime.start("after", None)
    request = await runtime.approval(run)
    await runtime.client.decide(request, "respond", approver="user:carol", message="yes")
    assert (await runtime.client.wait(run)).status == "completed"
    assert runtime.kinds(run).count("agent.started") == 3
    assert runtime.kinds(run).count("call.finished") == 3 * MANY
    await verified(runtime, run, executions_at_least=6)


async def test_files_are_carried_over(runtime: Runtime) -> None:
    run = await runtime.start("saver", "go")
    outcome = await runtime.client.wait(run)
    assert outcome.status == "completed"
    assert outcome.workspace == runtime.ledger.workspace(run)
    await verified(runtime, run)


async def test_rule_counts_calls_of_all_executions(runtime: Runtime) -> None:
    run = await runtime.start("spender", "go")
    assert (await runtime.client.wait(run)).status == "completed"
    kinds = runtime.kinds(run)
    assert (kinds.count("call.finished"), kinds.count("call.refused")) == (40, 1)
    await verified(runtime, run, executions_at_least=4)


async def test_missing_execution_is_found(runtime: Runtime) -> None:
    run = await runtime.start("noter", "go")
    await runtime.client.wait(run)
    parts = executions(await fetch_history(runtime.temporal, run))
    cut = WorkflowHistory(run, [event for part in (*parts[:1], *parts[2:]) for event in part.events])
    assert not (await runtime.verdict(run, cut)).verified
    # The server drops what is older than its retention: what is left is checked, and it is said what that is.
    late = WorkflowHistory(run, [event for part in parts[1:] for event in part.events])
    found = await runtime.verdict(run, late)
    assert found.verified, found.differences
    assert found.history_from > 0


async def test_made_up_execution_gains_nothing(runtime: Runtime) -> None:
    """Whoever controls a graph worker ends an execution and starts one that says that people approved."""
    run = await runtime.start("sender", "go")
    request = await runtime.approval(run)
    handle = runtime.temporal.get_workflow_handle(run)
    begun = (await handle.fetch_history()).events[0].workflow_execution_started_event_attributes
    (real,) = await runtime.temporal.data_converter.with_context(
        WorkflowSerializationContext(runtime.settings.temporal_namespace, run)
    ).decode(begun.input.payloads, [RunInput])
    assert real.carried is not None, "it is in a later execution"
    proof = verified_now(run, runtime.settings, runtime.ledger, runtime.blobs)
    approved = CarriedRequest(request=proof.requests[request.request_id], state="approved", votes=())
    events = runtime.ledger.events(run)
    proposal = proof.proposals[request.call_digest]
    state = CallUnderWay(
        agent="sender",
        proposed=ProposedCall(model_call_id="x", tool="send", arguments={"text": "hello"}),
        call=proof.call_of(proposal),
        decision=proof.decisions[request.call_digest],
        requests={"call": request.request_id},
    )
    carried = Carried.model_validate(real.carried).model_copy(
        update={"seq": len(events), "head": events[-1].hash, "approvals": (approved,), "requests": 1}
    )
    places = dict.fromkeys(Carried.model_validate(real.carried).calls_under_way, state) or {"x": state}
    carried = carried.model_copy(update={"calls_under_way": places})
    await handle.terminate("by whoever may")
    forged = real.model_copy(update={"carried": carried.model_dump(mode="json")})
    await runtime.temporal.start_workflow(AGENT_RUN, forged, id=run, task_queue=runtime.settings.graph_queue)
    await asyncio.sleep(3)
    assert [row.call_id for row in runtime.ledger.calls(run) if row.call_id == request.call_id] == []
    assert "approval.decided" not in runtime.kinds(run)
    assert verified_now(run, runtime.settings, runtime.ledger, runtime.blobs).count >= len(events)
    with suppress(RPCError):  # it has come to its end by itself
        await runtime.temporal.get_workflow_handle(run).terminate("enough")
