"""The engine is restarted under an executor: containers vanish, calls fail closed, then all is ready again."""

from __future__ import annotations

import asyncio
import os
import shutil

import pytest
from support.engine import own_engine

from interlock.errors import SandboxUnavailable
from interlock.sandbox import Ahead, DockerDriver
from interlock.settings import Settings
from interlock.types import Profile

pytestmark = pytest.mark.docker


@pytest.fixture
def second(image, monkeypatch):
    if os.getuid() or shutil.which("dockerd") is None:
        pytest.skip("needs root and dockerd")
    with own_engine() as engine:
        engine.take_image(image)
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        yield engine


async def test_warm_starts_survive_a_restart_of_the_engine(second, settings, image, blobs, make_call):
    driver = DockerDriver(Settings(root=settings.root, sandbox_reap_s=1))
    await driver.prepare([Ahead(Profile(name="default", time_s=60, memory_mib=128, warm_min=2), image)])

    async def ready():
        for _ in range(900):
            report = (await driver.report()).pools[0]
            if report.waiting == 2:
                return report
            await asyncio.sleep(0.05)
        raise AssertionError(report)

    def call(body="return 1", returns="int"):
        return make_call(body, returns=returns, image=image, limits={"time_s": 60})

    await ready()
    assert (await driver.run(call(), blobs)).start == "warm"
    leased = make_call("return 1", returns="int", image=image, limits={"time_s": 60, "reuse": "run"})
    assert (await driver.run(leased, blobs)).status == "ok"
    in_hand = asyncio.create_task(driver.run(call("print('on', flush=True)\ntime.sleep(60)", "None"), blobs))
    await asyncio.sleep(1)
    await ready()

    await asyncio.to_thread(second.stop)
    assert (await asyncio.wait_for(in_hand, 30)).status == "killed"
    with pytest.raises(SandboxUnavailable) as caught:
        await driver.run(call(), blobs)
    assert "DOCKER_HOST" in caught.value.next_step
    for _ in range(200):
        report = await driver.report()
        if report.pools[0].error and not report.pools[0].waiting and not report.leased:
            break
        await asyncio.sleep(0.1)
    assert (report.pools[0].waiting, report.leased) == (0, 0)
    assert report.pools[0].error

    await asyncio.to_thread(second.start)
    first = await driver.run(call(), blobs)
    assert (first.status, first.value) == ("ok", b"1")
    assert (await ready()).error == ""
    assert (await driver.run(call(), blobs)).start == "warm"
    again = await driver.run(leased.model_copy(update={"call_id": "run-again:c1"}), blobs)
    assert (again.status, again.start != "leased") == ("ok", True)
    await driver.close()
