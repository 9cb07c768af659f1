"""Several worker processes: they share the load, and one that is killed again and again loses nothing."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
from support import forked
from support.runtime import Runtime, eventually, running, settings_for
from support.small import call, small_project
from temporalio.api.enums.v1 import EventType

from interlock.run.histories import fetch_history
from interlock.settings import Settings

pytestmark = [pytest.mark.temporal, pytest.mark.timeout(280)]

CALLS, RUNS = 5, 6


def project(root: Path) -> Path:
    turns = [{"say": "", "calls": [call("note", text=f"step {number}")]} for number in range(CALLS)]
    small_project(root, [*turns, {"say": "done"}])
    # An attempt whose executor is killed is run again by another.
    note = root / "tools" / "note.py"
    note.write_text(note.read_text().replace('action="read"', 'action="read", idempotent=True'))
    return root


@contextmanager
def worker(settings: Settings, role: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of the workers, which serves when the block begins; killed at its end."""
    given = {
        "INTERLOCK_ROOT": str(settings.root),
        "INTERLOCK_STATE": str(settings.state_folder),
        "INTERLOCK_NAME": settings.name,
        "INTERLOCK_TEMPORAL_ADDRESS": settings.temporal_address,
        "INTERLOCK_SANDBOX_DRIVER": settings.sandbox_driver,
        "INTERLOCK_UNSAFE_IN_PROCESS": settings.unsafe_in_process,
    }
    process = subprocess.Popen(
        [forked.command(), "worker", role],
        env={**os.environ, **given},
        cwd=settings.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if b"serves queue" in line:
                break
        else:
            pytest.fail(b"".join(said).decode(errors="replace"))
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]


async def started(runtime: Runtime) -> list[str]:
    runs = (runtime.start("agent_run", {"agent": "tester", "task": "go"}) for _ in range(RUNS))
    return await asyncio.gather(*runs)


async def test_killed_worker_loses_nothing(temporal_address: str, tmp_path: Path) -> None:
    settings = settings_for(project(tmp_path / "project"), temporal_address, name="several")
    async with running(settings, workers=False) as runtime:
        with ExitStack() as stack:
            for role in ("executor", "graph"):
                stack.enter_context(worker(settings, role))
            began = await started(runtime)
            for role in ("graph", "executor", "executor"):  # a third one, killed while runs are under way
                with worker(settings, role):
                    runs = await started(runtime)
                    await eventually(partial(begun, runtime, runs), 60)
                began += runs
            for run in began:
                assert (await runtime.client.wait(run)).status == "completed"
        await nothing_lost(runtime, began)


def begun(runtime: Runtime, runs: list[str]) -> bool:
    return done_calls(runtime, runs) >= RUNS


def done_calls(runtime: Runtime, runs: list[str]) -> int:
    return sum(kind == "call.finished" for run in runs for kind in runtime.kinds(run))


async def nothing_lost(runtime: Runtime, runs: list[str]) -> None:
    for run in runs:
        assert done_calls(runtime, [run]) == CALLS
        history = await fetch_history(runtime.temporal, run)
        told = await runtime.verdict(run, history)
        assert told.verified, told.first
        assert EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED not in {event.event_type for event in history.events}


async def test_two_workers_share_the_load(temporal_address: str, tmp_path: Path) -> None:
    settings = settings_for(project(tmp_path / "project"), temporal_address, name="sharing")
    async with running(settings, workers=False) as runtime:
        with ExitStack() as stack:
            for role in ("executor", "executor", "graph", "graph"):
                stack.enter_context(worker(settings, role))
            runs = await started(runtime)
            for run in runs:
                assert (await runtime.client.wait(run)).status == "completed"
        assert len({row.executor for run in runs for row in runtime.ledger.calls(run)}) == 2
        assert len({who for run in runs for who in await decided_by(runtime, run)}) == 2
        await nothing_lost(runtime, runs)


async def decided_by(runtime: Runtime, run: str) -> set[str]:
    """The workers that took the run's workflow tasks."""
    history = await fetch_history(runtime.temporal, run)
    tasks = (event.workflow_task_started_event_attributes for event in history.events)
    return {task.identity for task in tasks if task.identity}
