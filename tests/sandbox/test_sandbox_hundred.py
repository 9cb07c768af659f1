"""A hundred runs, one container a call and one container a run, of which some fail: nothing of any is left."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from interlock.sandbox import DockerDriver
from interlock.sandbox.options import LABEL
from interlock.sandbox.owner import own_id

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

AT_ONCE = 6
ENDS = {"ok": "pass", "error": "raise ValueError('no')", "killed": "os.kill(os.getpid(), 9)"}


async def test_hundred_runs_leave_nothing(settings, image, engine, blobs, make_call) -> None:
    driver, turns = DockerDriver(settings), asyncio.Semaphore(AT_ONCE)

    async def run(number: int) -> str:
        status = list(ENDS)[number % len(ENDS)]
        reuse = "run" if number % 2 else "call"
        limits = {"reuse": reuse, "memory_mib": 64, "warm_max": 6}
        call = make_call(ENDS[status], run=f"run-{number}", limits=limits, image=image)
        async with turns:
            result = await driver.run(call, blobs)
            await driver.release(call.run)
        return f"{status} is {result.status}"

    ended = Counter(await asyncio.gather(*map(run, range(100))))
    assert ended == {"ok is ok": 34, "error is error": 33, "killed is killed": 33}
    await driver.close()
    rows = await asyncio.to_thread(engine.containers, all=True, filters={"label": f"{LABEL}={own_id()}"})
    assert rows == []
