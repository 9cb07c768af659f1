"""One run of many steps with people in between: it ends well and is one chain. `make endure` has 5,000 of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.runtime import Runtime, eventually, running, settings_for
from support.scenario import Tool, allow, ask, call, playbook, project

from interlock.run.histories import executions, fetch_history

pytestmark = [pytest.mark.temporal, pytest.mark.timeout(3600)]

ASK_EVERY = 25
TOOLS = {
    "note": Tool("return f'noted {text}'", 'action="read", idempotent=True'),
    "send": Tool("return f'sent {text}'", 'action="publish"'),
}


@pytest.fixture(scope="module")
def steps(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("--long-run-steps"))


@pytest.fixture(scope="module")
async def runtime(
    steps: int, temporal_address: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Runtime]:
    calls = [call("note" if n % ASK_EVERY else "send", text=f"n{n}") for n in range(1, steps + 1)]
    root = project(
        tmp_path_factory.mktemp("long") / "project",
        TOOLS,
        {"worker": playbook(*calls)},
        [allow("note"), ask("send")],
        limits={"worker": f"max_steps={steps + 1}"},
    )
    async with running(settings_for(root, temporal_address, name="long")) as found:
        yield found


async def _approved(runtime: Runtime, run: str) -> None:
    """Somebody approves whatever waits."""
    while True:
        for request in runtime.ledger.approvals(run=run):
            await runtime.client.decide(request, "approve", approver="user:carol")
        await asyncio.sleep(0.1)


async def test_run_of_many_steps_is_one_chain(runtime: Runtime, steps: int) -> None:
    run = await runtime.start("worker", "go")
    approver = asyncio.create_task(_approved(runtime, run))
    waiting = asyncio.create_task(runtime.client.wait(run))
    await asyncio.wait({approver, waiting}, return_when=asyncio.FIRST_COMPLETED)
    approver.cancel()
    outcome = await waiting
    assert outcome.status == "completed", outcome.detail
    kinds: list[Any] = runtime.kinds(run)
    assert kinds.count("call.finished") == steps
    assert kinds.count("approval.requested") == kinds.count("approval.decided") == steps // ASK_EVERY
    history = await fetch_history(runtime.temporal, run)
    verdict = await runtime.verdict(run, history)
    assert verdict.verified, verdict.differences
    assert len(executions(history)) > steps // 60
    assert await eventually(lambda: all(row.attempt == 1 for row in runtime.ledger.calls(run)))
