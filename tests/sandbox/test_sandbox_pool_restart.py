"""The engine is restarted under an executor: containers vanish, calls fail closed, then all is ready again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import docker
import pytest

from interlock.errors import SandboxUnavailable
from interlock.sandbox import Ahead, DockerDriver
from interlock.settings import Settings
from interlock.types import Profile

pytestmark = pytest.mark.docker


class Engine:
    """A Docker engine of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.host = f"unix://{folder}/docker.sock"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        folder = self._folder
        # In a network namespace of its own: an engine without a bridge deletes docker0, which is the machine's.
        command = ["unshare", "--net", "dockerd", "--data-root", folder / "data", "--exec-root", folder / "exec"]
        command += ["--host", self.host]
        command += ["--pidfile", folder / "pid", "--bridge=none", "--iptables=false"]
        command += [
            "--containerd-namespace",
            folder.name,
            "--containerd-plugins-namespace",
            f"{folder.name}-plugins",
        ]
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log)
        for _ in range(300):
            if self._answers():
                return
            time.sleep(0.1)
        raise AssertionError((folder / "log").read_text()[-2000:])

    def _answers(self) -> bool:
        try:
            client = docker.APIClient(base_url=self.host, version="auto", timeout=5)
        except docker.errors.DockerException:
            return False
        client.close()
        return True

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
            self._process = None

    def take_image(self, image: str) -> None:
        save = subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE)
        subprocess.run(
            ["docker", "-H", self.host, "load", "-q"], stdin=save.stdout, check=True, capture_output=True
        )
        assert save.wait() == 0


@pytest.fixture
def own_engine(image, monkeypatch):
    if os.getuid() or shutil.which("dockerd") is None:
        pytest.skip("needs root and dockerd")
    folder = Path("/tmp") / f"interlock-engine-{os.getpid()}"  # short: it holds a socket
    folder.mkdir(mode=0o700)
    engine = Engine(folder)
    try:
        engine.start()
        engine.take_image(image)
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        yield engine
    finally:
        engine.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def test_warm_starts_survive_a_restart_of_the_engine(own_engine, settings, image, blobs, make_call):
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

    await asyncio.to_thread(own_engine.stop)
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

    await asyncio.to_thread(own_engine.start)
    first = await driver.run(call(), blobs)
    assert (first.status, first.value) == ("ok", b"1")
    assert (await ready()).error == ""
    assert (await driver.run(call(), blobs)).start == "warm"
    again = await driver.run(leased.model_copy(update={"call_id": "run-again:c1"}), blobs)
    assert (again.status, again.start != "leased") == ("ok", True)
    await driver.close()
