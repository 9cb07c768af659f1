"""Before new code and a new policy take over open runs: what would go wrong is named, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.runtime import Runtime, running, settings_for
from support.scenario import ASKS, Tool, allow, ask, call, playbook, project, write_rules

from interlock.policy import load_bundle
from interlock.project import mount
from interlock.run.flight_check import Checker, FlightCheck, open_runs
from interlock.run.graph_worker import Content
from interlock.run.replay import make_replayer

pytestmark = pytest.mark.temporal

TOOLS = {
    "note": Tool("return f'noted {text}'", 'action="read", idempotent=True'),
    "send": Tool("return f'sent {text}'", 'action="publish"'),
}
RULES: list[Any] = [allow("note"), ask("send", "pairs"), ASKS]
AGENTS = {"sender": playbook(call("note", text="a"), call("send", text="hello"))}
WORKFLOW = '''
from interlock.workflow import Workflow, workflow


@workflow("twice", agents=["sender"])
class Twice(Workflow):
    """The same work twice."""

    async def steps(self, task):
        {first}
        await self.agent("sender", "one")
'''


@pytest.fixture
async def runtime(temporal_address: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    root = project(tmp_path / "project", TOOLS, AGENTS, RULES)
    (root / "workflows" / "twice.py").write_text(WORKFLOW.format(first="pass"))
    async with running(settings_for(root, temporal_address, name=f"flight-{tmp_path.name[:40]}")) as found:
        yield found


async def checked(runtime: Runtime, **options: Any) -> FlightCheck:
    """Check every open run against the project as it is on disk now."""
    root = runtime.settings.root
    mount(root, replace=True)
    checker = Checker(
        runtime.settings,
        runtime.ledger,
        runtime.blobs,
        make_replayer(runtime.settings, runtime.blobs, Content.load(root)),
        load_bundle(root / "permissions"),
        options.get("now", datetime.now(UTC)),
        timedelta(days=7),
    )
    async for run, execution in open_runs(runtime.temporal, runtime.settings.graph_queue):
        await checker.open_run(runtime.temporal, run, execution)
    return checker.found


async def waiting(runtime: Runtime) -> str:
    """A run of `twice` that waits for people, listed as open."""
    run = await runtime.start("twice", None)
    await runtime.approval(run)

    async def listed() -> bool:
        return [name async for name, _ in open_runs(runtime.temporal, runtime.settings.graph_queue)] == [run]

    for _ in range(100):
        if await listed():
            return run
    raise AssertionError("the server does not list it")


async def test_unchanged_project_finds_nothing(runtime: Runtime) -> None:
    await waiting(runtime)
    found = await checked(runtime)
    assert found.findings == []
    assert (found.open_runs, found.requests) == (1, 1)


async def test_changed_workflow_is_named(runtime: Runtime) -> None:
    run = await waiting(runtime)
    file = runtime.settings.root / "workflows" / "twice.py"
    file.write_text(WORKFLOW.format(first="await self.ask('sender', 'first?')"))
    (finding,) = (await checked(runtime)).findings
    assert (finding.kind, finding.run) == ("code", run)
    assert "does not replay" in finding.message


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([allow("note"), allow("send")], "newly allowed"),
        ([allow("note")], "newly denied"),
        ([allow("note"), ask("send", "hasty")], "other terms"),
    ],
)
async def test_request_decided_otherwise_is_named(runtime: Runtime, rules: list[Any], told: str) -> None:
    run = await waiting(runtime)
    write_rules(runtime.settings.root, rules)
    (finding,) = (await checked(runtime)).findings
    assert (finding.kind, finding.run) == ("request", run)
    assert told in finding.message


async def test_word_that_ends_soon_is_named(runtime: Runtime) -> None:
    run = await waiting(runtime)
    (finding,) = (await checked(runtime, now=datetime.now(UTC) + timedelta(days=25))).findings
    assert (finding.kind, finding.run) == ("expiry", run)


async def test_approval_that_no_longer_counts_is_named(runtime: Runtime) -> None:
    run = await waiting(runtime)
    request = await runtime.approval(run)
    await runtime.client.control(run, "pause", by="user:alice")  # or the call would use them at once
    for approver in ("user:carol", "user:dave"):
        await runtime.client.decide(request, "approve", approver=approver)
    assert (await checked(runtime)).approvals == 1
    write_rules(runtime.settings.root, [allow("note"), ask("send", "hasty")])
    (finding,) = (await checked(runtime)).findings
    assert (finding.kind, finding.about) == ("approval", request.request_id)
    assert "user:dave is not an approver" in finding.message


async def test_ended_runs_are_left_alone(runtime: Runtime) -> None:
    run = await waiting(runtime)
    await runtime.client.control(run, "cancel", by="user:alice")
    await runtime.client.wait(run)

    async def gone() -> bool:
        return not [name async for name, _ in open_runs(runtime.temporal, runtime.settings.graph_queue)]

    for _ in range(200):
        if await gone():
            break
    assert (await checked(runtime)).open_runs == 0
