"""Engine and executor stand: no secret in what the engine knows, nobody stalls them, nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading

import docker
import pytest
from support.observing import Began

from interlock.sandbox import DockerDriver
from interlock.sandbox.options import LABEL
from interlock.sandbox.owner import own_id

pytestmark = pytest.mark.docker

SECRET = "s3cret-of-the-host"


def own(engine: docker.APIClient) -> list[dict]:
    return engine.containers(all=True, filters={"label": f"{LABEL}={own_id()}"})


async def while_running(attacker, engine):
    """What the engine says of the containers of this process while a tool sleeps in one; then the tool is ended."""
    began = Began()
    call = attacker.call("resources", "sleep_on", limits={"time_s": 60})
    task = asyncio.create_task(attacker.driver.run(call, attacker.blobs, began))
    try:
        assert await asyncio.to_thread(began.event.wait, 30)
        return [engine.inspect_container(row["Id"]) for row in own(engine) if row["State"] == "running"]
    finally:
        await asyncio.wait_for(attacker.driver.kill(call.call_id), 30)
        result = await asyncio.wait_for(task, 30)
        assert result.status in ("cancelled", "killed")


@pytest.fixture(scope="module")
async def inspected(attacker, engine):
    """Containers as the engine describes them, one of them with a call that holds a secret argument."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERLOCK_TOKEN", SECRET)
        patch.setenv("HTTPS_PROXY", f"http://user:{SECRET}@proxy")
        found = await while_running(attacker, engine)
    assert found
    return found


def test_environment_of_the_container_is_made_from_nothing(inspected, engine, image):
    of_image = engine.inspect_image(image)["Config"]["Env"] or ()
    for one in inspected:
        added = set(one["Config"]["Env"] or ()) - set(of_image)
        assert {line.partition("=")[0] for line in added} <= {"PATH"}
        assert SECRET not in str(one)


def test_container_has_nothing_of_the_host(inspected):
    for one in inspected:
        host = one["HostConfig"]
        assert host["NetworkMode"] == "none"
        assert not host["Privileged"]
        assert (host["Devices"] or [], host["CapAdd"] or [], host["VolumesFrom"] or []) == ([], [], [])
        assert host["CapDrop"] == ["ALL"]
        assert "/var/run/docker.sock" not in str(one["Mounts"])
        assert {host["PidMode"], host["UTSMode"], host["UsernsMode"]} <= {"", "private"}
        assert one["Config"]["Hostname"] == "sandbox"


def test_labels_say_whose_it_is_and_no_more(inspected):
    for one in inspected:
        labels = one["Config"]["Labels"]
        assert labels[LABEL] == own_id()
        assert all(name.startswith("interlock.") for name in labels)
        assert SECRET not in str(labels)


def test_container_removes_itself(inspected):
    for one in inspected:
        host = one["HostConfig"]
        assert (host["AutoRemove"], host["RestartPolicy"]["Name"]) == (True, "") or host["AutoRemove"]
        assert host["LogConfig"]["Type"] == "none"


NAMES = [
    "../../etc/passwd",
    "a'; drop table calls; --",
    "line\nbreak",
    "ünï文\u202e",
    "x" * 400,
    "--privileged",
]


async def test_odd_call_ids_name_nothing_odd(attacker, engine):
    results = await asyncio.gather(
        *(attacker.run("hostile", "honest", run=f"abuse-{secrets.token_hex(4)}", number=name) for name in NAMES)
    )
    assert [result.status for result in results] == ["ok"] * len(NAMES)
    assert len({result.call_id for result in results}) == len(NAMES)
    for row in own(engine):
        assert all(name.startswith("/interlock-") and len(name) < 65 for name in row["Names"] or ())


async def test_flood_does_not_stall_the_engine(attacker, engine):
    call = attacker.call("resources", "flood", arguments={"number": 1}, limits={"output_kib": 65536, "time_s": 60})
    task = asyncio.create_task(attacker.driver.run(call, attacker.blobs))
    await asyncio.sleep(0.4)
    assert await asyncio.wait_for(asyncio.to_thread(engine.ping), 30)
    await asyncio.wait_for(attacker.driver.kill(call.call_id), 30)
    result = await asyncio.wait_for(task, 30)
    assert result.status in ("cancelled", "killed", "ok")
    assert len(result.stdout) <= (64 << 20) + 100


async def test_blob_store_that_stalls_holds_nobody_else_up(attacker):
    class Stalled(type(attacker.blobs)):
        def put(self, data: bytes) -> str:
            gate.wait(100)
            return super().put(data)

    gate = threading.Event()
    slow = attacker.call("hostile", "honest", workspace_use="write")
    task = asyncio.create_task(attacker.driver.run(slow, Stalled()))
    await asyncio.sleep(0.5)
    assert await attacker.fact("hostile", "honest", workspace_use="write") == 1
    assert not task.done()
    gate.set()
    assert (await asyncio.wait_for(task, 30)).status == "ok"


async def test_result_belongs_to_its_call(attacker):
    numbers = [str(at) for at in range(6)]
    results = await asyncio.gather(
        *(attacker.run("runner", "leave", arguments={"report": f"v{number}"}) for number in numbers)
    )
    assert [result.value for result in results] == [number.encode() for number in numbers]


def of_memory(engine, mib):
    """The containers of this process that have so much memory: those of the shared driver have another size."""
    found = []
    for row in own(engine):
        with contextlib.suppress(docker.errors.NotFound):
            found.append((row["Id"], engine.inspect_container(row["Id"])["HostConfig"]["Memory"]))
    return [ident for ident, memory in found if memory == mib << 20]


async def test_ten_attacks_leave_no_container(attacker, settings, engine):
    other = type(attacker)(DockerDriver(settings), attacker.image)
    limits = {"time_s": 1, "memory_mib": 67, "pids": 32, "output_kib": 64}
    results = []
    for _ in range(2):
        tools = ["fork_bomb", "memory", "sleep_on", "dump_core", "forks"]
        results += await asyncio.gather(*(other.run("resources", tool, limits=limits) for tool in tools))
    assert {result.status for result in results} <= {"timeout", "out_of_memory", "killed", "error", "ok"}
    await other.driver.close()
    for _ in range(50):
        if not (left := of_memory(engine, 67)):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(left)
