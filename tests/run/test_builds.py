"""Code changes under open runs: each stays with its build, and moves on where nothing of it is at work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.runtime import Runtime, running, settings_for
from support.scenario import Tool, allow, ask, call, playbook, project

from interlock.errors import Conflict
from interlock.run.build import build_id, builds, make_current
from interlock.run.executor_worker import executor_worker
from interlock.run.graph_worker import graph_worker
from interlock.run.histories import executions, fetch_history
from interlock.settings import Settings

pytestmark = pytest.mark.temporal

TOOLS = {
    "note": Tool("return f'noted {text}'", 'action="read", idempotent=True'),
    "send": Tool("return f'sent {text}'", 'action="publish"'),
}
AGENTS = {"sender": playbook(call("note", text="a"), call("send", text="hello"), call("note", text="b"))}


@pytest.fixture
async def runtime(temporal_address: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    root = project(tmp_path / "project", TOOLS, AGENTS, [allow("note"), ask("send")])
    settings = settings_for(root, temporal_address, name="builds", worker_versioning=True, build_id="one")
    async with running(settings, workers=False) as found:
        yield found


def built(runtime: Runtime, name: str) -> Settings:
    return runtime.settings.model_copy(update={"build_id": name})


async def build_of(runtime: Runtime, run: str) -> str:
    """The build that a run's newest execution is with."""
    found = await runtime.temporal.get_workflow_handle(run).describe()
    return found.raw_description.workflow_execution_info.versioning_info.deployment_version.build_id


async def known(runtime: Runtime, name: str) -> None:
    """Wait until the server knows a build, and make it the current one."""
    for _ in range(300):
        if name in {build.name for build in await builds(runtime.temporal, runtime.settings)}:
            return await make_current(runtime.temporal, runtime.settings, name)
        await asyncio.sleep(0.1)
    raise AssertionError(f"build {name} is not known")


async def test_open_run_moves_on_to_the_current_build(runtime: Runtime) -> None:
    one, two = built(runtime, "one"), built(runtime, "two")
    async with (
        executor_worker(runtime.temporal, runtime.settings, runtime.executor),
        graph_worker(runtime.temporal, one, runtime.content),
    ):
        await known(runtime, "one")
        run = await runtime.start("sender", "go")
        request = await runtime.approval(run)
        async with graph_worker(runtime.temporal, two, runtime.content):
            await known(runtime, "two")
            other = await runtime.start("sender", "go")
            await runtime.approval(other)
            assert await build_of(runtime, other) == "two"
            assert await build_of(runtime, run) == "one"
            await runtime.client.decide(request, "approve", approver="user:carol")
            assert (await runtime.client.wait(run)).status == "completed"
            assert await build_of(runtime, run) == "two"
            status = {build.name: build.status for build in await builds(runtime.temporal, runtime.settings)}
            assert status["two"] == "current"
            assert status["one"] in ("draining", "drained")
            await runtime.client.control(other, "cancel", by="user:alice")
            await runtime.client.wait(other)
    history = await fetch_history(runtime.temporal, run)
    assert len(executions(history)) == 2
    verdict = await runtime.verdict(run, history)
    assert verdict.verified, verdict.differences
    assert [row.attempt for row in runtime.ledger.calls(run)] == [1, 1, 1]


async def test_unknown_build_is_refused(runtime: Runtime) -> None:
    with pytest.raises(Conflict, match="'nine' is not known"):
        await make_current(runtime.temporal, runtime.settings, "nine")


def test_build_is_what_its_files_are(runtime: Runtime) -> None:
    settings = built(runtime, "")
    before = build_id(settings)
    assert build_id(settings) == before
    file = settings.root / "agents" / "sender.py"
    file.write_text(file.read_text() + "# changed\n")
    assert build_id(settings) != before
