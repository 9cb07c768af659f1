"""Steps side by side, sleeps and questions in a team's workflow: in order, stopped together, ended from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.runtime import Runtime, eventually, running, settings_for
from support.scenario import ASKS, Tool, allow, ask, call, playbook, project
from support.verifying import verified

from interlock.digest import parse
from interlock.errors import Conflict

pytestmark = pytest.mark.temporal

TOOLS = {
    "note": Tool("return f'noted {text}'", 'action="read"'),
    "nap": Tool("time.sleep(8)\nreturn 'slept'", 'action="read"'),
    "send": Tool("return f'sent {text}'", 'action="publish"'),
}
RULES = [allow("note"), allow("nap"), ask("send"), ASKS]
AGENTS: dict[str, Any] = {
    "noter": playbook(call("note", text="a")),
    "napper": playbook(call("nap", text="a")),
    "sender": playbook(call("send", text="a")),
    "quick": [{"say": "done"}],
}
HEAD = '''"""Composed."""

from datetime import timedelta

from interlock.errors import InvalidInput
from interlock.workflow import Workflow, workflow


@workflow("{name}", agents=["noter", "napper", "sender", "quick"], signals={{"go": None}})
class Composed(Workflow):
    """Composed."""

    async def fails(self):
        await self.agent("quick", "before")
        raise InvalidInput("this branch failed")

    async def late(self):
        await self.sleep(2)
        raise InvalidInput("this branch failed late")

    async def steps(self, task):
'''
BODIES = {
    "one_after_the_other": """
        first = await self.agent("noter", "one")
        second = await self.agent("quick", first.status)
        return await self.agent("quick", second.status)
""",
    "side_by_side": """
        found = await self.all(self.agent("noter", "one"), self.agent("quick", "two"), self.agent("noter", "three"))
        return await self.agent("quick", [one.status for one in found])
""",
    "both_ask": """
        await self.all(self.agent("sender", "one"), self.ask("quick", "May I?"))
""",
    "one_fails": """
        try:
            await self.all(self.agent("sender", "one"), self.sleep(3600), self.signal("go"), self.fails())
        except InvalidInput as error:
            return await self.agent("quick", str(error))
""",
    "withdraws": """
        try:
            await self.all(self.agent("sender", "one"), self.ask("quick", "May I?"), self.signal("go"), self.late())
        except InvalidInput:
            await self.signal("go")
""",
    "inner_fails": """
        inner = self.all(self.agent("sender", "deep"), self.fails())
        try:
            await self.all(self.signal("go"), inner)
        except InvalidInput as error:
            return await self.agent("quick", str(error))
""",
    "one_naps": """
        try:
            await self.all(self.agent("napper", "one"), self.fails())
        except InvalidInput as error:
            return await self.agent("quick", str(error))
""",
    "everything_waits": """
        asked = self.all(self.agent("sender", "one"), self.ask("quick", "May I?"))
        await self.all(asked, self.sleep(3600), self.signal("go"))
""",
    "sleeper": """
        await self.sleep(1)
        await self.sleep(timedelta(seconds=1))
        return await self.agent("quick", "awake")
""",
    "insomniac": """
        await self.sleep(-1)
""",
}


@pytest.fixture(scope="module", params=[450, 15], ids=["one execution", "many executions"])
async def runtime(
    temporal_address: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[Runtime]:
    """With `many`, runs go on in a new execution of their workflow after a few steps."""
    root = project(tmp_path_factory.mktemp("joining") / "project", TOOLS, AGENTS, RULES)
    for name, body in BODIES.items():
        (root / "workflows" / f"{name}.py").write_text(HEAD.format(name=name) + body.lstrip("\n"))
    options = {"name": f"joining-{request.param}", "events_an_execution": request.param}
    async with running(settings_for(root, temporal_address, **options)) as found:
        yield found


def of_kind(runtime: Runtime, run: str, kind: str) -> list[Any]:
    return [event for event in runtime.ledger.events(run) if event.kind == kind]


def tasks(runtime: Runtime, run: str) -> list[Any]:
    """What the run's agents were given to do, in order."""
    return [parse(runtime.blobs.of(run).get(event.task)) for event in of_kind(runtime, run, "agent.started")]


def ends(runtime: Runtime, run: str) -> dict[str, str]:
    return {event.agent.removeprefix("agent:"): event.status for event in of_kind(runtime, run, "agent.finished")}


async def completed(runtime: Runtime, run: str) -> None:
    outcome = await runtime.client.wait(run)
    assert outcome.status == "completed", outcome.detail
    await verified(runtime, run)


async def test_agents_follow_one_another(runtime: Runtime) -> None:
    run = await runtime.start("one_after_the_other", None)
    await completed(runtime, run)
    assert tasks(runtime, run) == ["one", "completed", "completed"]


async def test_join_gives_results_in_order(runtime: Runtime) -> None:
    run = await runtime.start("side_by_side", None)
    await completed(runtime, run)
    assert tasks(runtime, run)[-1] == ["completed", "completed", "completed"]
    assert len(of_kind(runtime, run, "call.finished")) == 2


async def test_people_are_asked_in_both_branches_at_once(runtime: Runtime) -> None:
    run = await runtime.start("both_ask", None)
    await eventually(lambda: len(runtime.ledger.approvals(run=run)) == 2)
    by_kind = {row.kind: row for row in runtime.ledger.approvals(run=run)}
    await runtime.client.decide(by_kind["question"], "respond", approver="user:carol", message="yes")
    await runtime.client.decide(by_kind["call"], "approve", approver="user:dave")
    await completed(runtime, run)


@pytest.mark.parametrize("name", ["one_fails", "inner_fails", "one_naps"])
async def test_failed_branch_stops_the_others(runtime: Runtime, name: str) -> None:
    """The failure is raised once all have ended: no agent goes on behind the back of what handles it."""
    run = await runtime.start(name, None)
    await completed(runtime, run)
    assert tasks(runtime, run)[-1] == "this branch failed"
    stopped = {agent: status for agent, status in ends(runtime, run).items() if agent != "quick"}
    assert set(stopped.values()) == {"cancelled"}
    assert runtime.ledger.approvals(run=run) == []
    last = of_kind(runtime, run, "agent.started")[-1].seq
    after = [event.kind for event in runtime.ledger.events(run) if event.seq > last]
    assert after == ["model.responded", "agent.finished", "run.ended"]


async def test_stopped_branch_withdraws_its_requests(runtime: Runtime) -> None:
    """While the run goes on: nobody is left with a request whose decision would have no effect."""
    run = await runtime.start("withdraws", None)
    await eventually(lambda: len(runtime.ledger.approvals(run=run)) == 2)
    rows = runtime.ledger.approvals(run=run)
    await eventually(lambda: runtime.ledger.approvals(run=run) == [])
    assert runtime.ledger.run(run).status == "running"
    for row in rows:
        verdict: Any = "approve" if row.kind == "call" else "respond"
        with pytest.raises(Conflict, match="was withdrawn"):
            await runtime.client.decide(row, verdict, approver="user:carol", message="yes")
    await runtime.client.signal(run, "go", None, by="user:carol")
    await completed(runtime, run)


async def test_cancel_ends_everything_that_waits(runtime: Runtime) -> None:
    run = await runtime.start("everything_waits", None)
    await eventually(lambda: len(runtime.ledger.approvals(run=run)) == 2)
    await runtime.client.control(run, "cancel", by="user:alice", reason="enough")
    assert (await runtime.client.wait(run)).status == "cancelled"
    (event,) = of_kind(runtime, run, "run.cancelled")
    assert (event.by, event.reason) == ("user:alice", "enough")
    assert ends(runtime, run) == {"sender": "cancelled"}
    assert runtime.ledger.approvals(run=run) == []
    await verified(runtime, run)


async def test_pause_holds_all_branches(runtime: Runtime) -> None:
    run = await runtime.start("everything_waits", None)
    await eventually(lambda: len(runtime.ledger.approvals(run=run)) == 2)
    await runtime.client.control(run, "pause", by="user:alice")
    (row,) = [row for row in runtime.ledger.approvals(run=run) if row.kind == "call"]
    await runtime.client.decide(row, "approve", approver="user:carol")
    assert runtime.ledger.calls(run) == []
    await runtime.client.control(run, "resume", by="user:alice")
    await eventually(lambda: [row for row in runtime.ledger.calls(run) if row.finished_at])
    await runtime.client.control(run, "cancel", by="user:alice")
    await runtime.client.wait(run)
    await verified(runtime, run)


async def test_sleep_waits_at_least_so_long(runtime: Runtime) -> None:
    run = await runtime.start("sleeper", None)
    await completed(runtime, run)
    started, woken = of_kind(runtime, run, "run.started")[0], of_kind(runtime, run, "agent.started")[0]
    assert (woken.time - started.time).total_seconds() >= 2


async def test_sleep_of_no_time_fails_the_run(runtime: Runtime) -> None:
    run = await runtime.start("insomniac", None)
    outcome = await runtime.client.wait(run)
    assert outcome.status == "failed"
    assert "-1 is no whole number" in outcome.detail
    await verified(runtime, run)
