"""Tools that misbehave, in real containers: each ends as a result that the agent can read, and nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import docker
import pytest
from support.runtime import Runtime, eventually, running, settings_for
from support.scenario import Tool, allow, call, playbook, project

from interlock.events import CallFinished
from interlock.run.receipt import Receipt
from interlock.sandbox import DockerDriver, build_image
from interlock.sandbox.claiming import container_name
from interlock.signing import load_verifier

pytestmark = [pytest.mark.docker, pytest.mark.temporal]

TOOLS = {
    "flood": Tool("for _ in range(1024):\n    os.write(1, b'x' * 2**20)\nreturn 'printed'"),
    "sleep": Tool("print('asleep', flush=True)\ntime.sleep(600)\nreturn 'awake'"),
    "fork": Tool("if os.fork() == 0:\n    os.setsid()\n    time.sleep(600)\nreturn 'left a child'"),
    "exit": Tool("if os.fork() == 0:\n    time.sleep(600)\nos._exit(3)"),
    "binary": Tool("os.write(1, bytes(range(256)))\nreturn 'wrote bytes'"),
    "surrogate": Tool("return b'\\xff\\xfe'.decode('utf-8', 'surrogateescape')"),
    "fail": Tool("raise RuntimeError('out of ' + text)"),
    "nap": Tool("time.sleep(600)\nreturn 'awake'", 'action="act", profile="long"'),
}
PROFILES = """
profiles:
  - {name: default, time_s: 2, memory_mib: 128, output_kib: 256}
  - {name: long, time_s: 600}
"""


@pytest.fixture(scope="module")
async def runtime(temporal_address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runtime]:
    agents = {f"{name}er": playbook(call(name, text="luck"), call("fail", text="luck")) for name in TOOLS}
    root = tmp_path_factory.mktemp("docker") / "project"
    project(root, TOOLS, agents, [allow(name) for name in TOOLS], profiles=PROFILES)
    settings = settings_for(root, temporal_address, name="docker", sandbox_driver="docker")
    await asyncio.to_thread(build_image, settings)
    async with running(settings) as found:
        yield found


def containers(run: str) -> list[Any]:
    api = docker.APIClient(**docker.utils.kwargs_from_env(), version="auto")
    try:
        names = {f"/{container_name(f'{run}:c{number}')}" for number in range(1, 10)}
        rows: list[Any] = api.containers(all=True, filters={"label": "interlock.sandbox"})
        return [row for row in rows if names & set(row["Names"] or ())]
    finally:
        api.close()


async def ended(runtime: Runtime, run: str) -> Any:
    outcome = await asyncio.wait_for(runtime.client.wait(run), 60)
    verdict = await runtime.verdict(run)
    assert verdict.verified, verdict.differences
    await eventually(lambda: not containers(run))
    return outcome


def finished(runtime: Runtime, run: str) -> list[CallFinished]:
    return [event for event in runtime.ledger.events(run) if isinstance(event, CallFinished)]


@pytest.mark.parametrize(
    ("tool", "status", "reason"),
    [
        ("flood", "output_limit", "stopped after printing"),
        ("sleep", "timeout", "asleep"),
        ("fork", "ok", "left a child"),
        ("exit", "error", "exit code 3"),
        ("binary", "ok", "wrote bytes"),
        ("surrogate", "error", ""),
        ("fail", "error", "RuntimeError: out of luck"),
    ],
)
async def test_misbehaving_tool_is_read(runtime: Runtime, tool: str, status: str, reason: str) -> None:
    run = await runtime.start(f"{tool}er", "go")
    assert (await ended(runtime, run)).status == "completed"
    first, second = finished(runtime, run)
    text = runtime.text(first.output)
    assert first.status == status
    assert reason in text
    assert len(text) < 600_000
    assert "out of luck" in runtime.text(second.output)  # the agent goes on


async def test_cancel_kills_the_container(runtime: Runtime) -> None:
    run = await runtime.start("naper", "go")
    await eventually(lambda: containers(run))
    await runtime.client.control(run, "cancel", by="user:carol", reason="takes too long")
    assert (await ended(runtime, run)).status == "cancelled"
    (event,) = finished(runtime, run)
    verifier = load_verifier(runtime.settings.keys_folder, "executor")
    receipt = Receipt.found(verifier, runtime.blobs, event.receipt)
    assert (event.status, receipt.status) == ("cancelled", "cancelled")
    (cancelled,) = [e for e in runtime.ledger.events(run) if e.kind == "run.cancelled"]
    assert (cancelled.by, cancelled.reason) == ("user:carol", "takes too long")


async def test_cancel_through_temporal_kills_the_container(runtime: Runtime) -> None:
    run = await runtime.start("naper", "go")
    await eventually(lambda: containers(run))
    await runtime.client.handle(run).cancel()
    assert (await ended(runtime, run)).status == "cancelled"
    assert finished(runtime, run)[0].status == "cancelled"


async def test_run_waits_for_the_engine(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine answers; then there is one."""
    good = runtime.executor.driver
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    runtime.executor.driver = DockerDriver(runtime.settings)
    run = await runtime.start("failer", "go")
    try:
        for _ in range(100):
            if seen := await runtime.client.obstacles(run):
                break
            await asyncio.sleep(0.1)
    finally:
        monkeypatch.delenv("DOCKER_HOST")
        runtime.executor.driver = good
    assert "no Docker engine answers" in seen[0]
    assert "interlock doctor" in seen[0]
    assert (await ended(runtime, run)).status == "completed"
