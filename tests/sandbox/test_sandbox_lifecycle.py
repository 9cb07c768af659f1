"""Calls are stopped, refused twice, and cleaned up after; a missing part is named with its next step."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
import time

import pytest

from interlock.errors import Conflict, Refused, SandboxUnavailable
from interlock.sandbox import DockerDriver, InProcessDriver, clean, make_driver
from interlock.sandbox.docker_driver import container_name
from interlock.sandbox.owner import is_dead, own_id
from interlock.settings import Settings

pytestmark = pytest.mark.docker

SLEEP = "print('started', flush=True)\nsubprocess.Popen(['sleep', '600'])\ntime.sleep(600)"


async def until_running(left_of, call_id):
    for _ in range(200):
        if await asyncio.to_thread(left_of, call_id):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("never started")


async def test_cancelled_call_leaves_no_container(driver, blobs, make_call, left_of):
    call = make_call(SLEEP, limits={"time_s": 300})
    task = asyncio.create_task(driver.run(call, blobs))
    await until_running(left_of, call.call_id)
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    assert left_of(call.call_id) == []


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.1, 0.15])
async def test_cancel_during_start_leaves_no_container(driver, blobs, make_call, left_of, delay_s):
    call = make_call(SLEEP, limits={"time_s": 300})
    task = asyncio.create_task(driver.run(call, blobs))
    await asyncio.sleep(delay_s)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    assert left_of(call.call_id) == []


async def test_flooding_call_can_be_cancelled(driver, blobs, make_call, left_of):
    call = make_call("while True: os.write(1, b'x' * 65536)", limits={"time_s": 300, "output_kib": 65536})
    task = asyncio.create_task(driver.run(call, blobs))
    await until_running(left_of, call.call_id)
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    assert left_of(call.call_id) == []


async def test_killed_call_is_cancelled(driver, blobs, make_call, left_of):
    call = make_call(SLEEP, limits={"time_s": 300})
    task = asyncio.create_task(driver.run(call, blobs))
    await until_running(left_of, call.call_id)
    await driver.kill(call.call_id)
    result = await asyncio.wait_for(task, 10)
    assert result.status == "cancelled"
    assert left_of(call.call_id) == []


async def test_kill_of_another_executor_is_no_success(driver, settings, blobs, make_call, left_of):
    call = make_call(SLEEP, limits={"time_s": 300})
    task = asyncio.create_task(driver.run(call, blobs))
    await until_running(left_of, call.call_id)
    await asyncio.sleep(0.5)
    other = DockerDriver(settings)
    await other.kill(call.call_id)
    await other.close()
    assert (await asyncio.wait_for(task, 10)).status == "killed"


async def test_kill_of_no_call_does_nothing(driver):
    await driver.kill("run-none:c1")


async def test_close_stops_what_runs(settings, blobs, make_call, left_of):
    driver = DockerDriver(settings)
    call = make_call(SLEEP, limits={"time_s": 300})
    task = asyncio.create_task(driver.run(call, blobs))
    await until_running(left_of, call.call_id)
    await driver.close()
    assert (await asyncio.wait_for(task, 10)).status == "cancelled"
    assert left_of(call.call_id) == []


async def test_call_has_at_most_one_container(driver, settings, blobs, make_call, left_of):
    call = make_call(SLEEP, limits={"time_s": 300})
    task = asyncio.create_task(driver.run(call, blobs))
    await until_running(left_of, call.call_id)
    other = DockerDriver(settings)
    for one in (driver, other):
        with pytest.raises(Conflict):
            await one.run(call, blobs)
    assert len(left_of(call.call_id)) == 1
    await driver.kill(call.call_id)
    await task
    await other.close()


async def test_calls_run_side_by_side(driver, blobs, make_call):
    calls = [make_call(f"return {at}", returns="int") for at in range(6)]
    results = await asyncio.gather(*(driver.run(call, blobs) for call in calls))
    assert [result.value for result in results] == [str(at).encode() for at in range(6)]
    assert [result.call_id for result in results] == [call.call_id for call in calls]


def _abandoned(engine, image, owner, *, expires):
    """A container as an executor would leave it that hangs: it does not end by itself."""
    labels = {"interlock.sandbox": owner, "interlock.expires": str(expires)}
    host = engine.create_host_config(network_mode="none")
    call, command = f"run-{secrets.token_hex(4)}:c1", ["sleep", "600"]
    name = container_name(call)
    made = engine.create_container(image, entrypoint=command, name=name, labels=labels, host_config=host)
    engine.start(made["Id"])
    return call


def test_container_of_dead_owner_is_cleaned(engine, settings, image, left_of):
    script = "from interlock.sandbox.owner import own_id; print(own_id())"
    owner = subprocess.check_output([sys.executable, "-c", script], text=True).strip()
    assert is_dead(owner)
    call = _abandoned(engine, image, owner, expires=int(time.time()) + 600)
    assert [line for line in clean(settings) if container_name(call) in line and "executor is dead" in line]
    assert left_of(call) == []


def test_expired_container_is_cleaned(engine, settings, image, left_of):
    for _ in range(5):  # an executor of another test may look for what is left, and find it first
        call = _abandoned(engine, image, own_id(), expires=int(time.time()) - 1)
        lines = [line for line in clean(settings) if container_name(call) in line]
        assert left_of(call) == []
        if lines:
            break
    assert "its time is up" in lines[0]


def test_container_of_living_owner_stays(engine, settings, image, left_of):
    call = _abandoned(engine, image, own_id(), expires=int(time.time()) + 600)
    try:
        clean(settings)
        assert len(left_of(call)) == 1
    finally:
        engine.remove_container(container_name(call), force=True)


def test_owner_seen_from_elsewhere_is_not_dead():
    boot, namespace, pid, started = own_id().split("|")
    assert not is_dead("|".join((boot, "pid:[1]", "999999999", started)))
    assert not is_dead("|".join(("another-boot", namespace, "999999999", started)))
    assert is_dead("|".join((boot, namespace, pid, "1")))
    assert not is_dead(own_id())


async def test_absent_engine_is_unavailable(settings, blobs, make_call, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    driver = make_driver(settings)
    with pytest.raises(SandboxUnavailable) as caught:
        await driver.run(make_call("return None"), blobs)
    assert "DOCKER_HOST" in caught.value.next_step
    assert caught.value.exit_code == 3
    await driver.close()


async def test_unknown_image_is_unavailable(driver, blobs, make_call):
    with pytest.raises(SandboxUnavailable) as caught:
        await driver.run(make_call("return None", image="sha256:" + "0" * 64), blobs)
    assert caught.value.next_step == "build it with `interlock sandbox build`"


async def test_image_without_our_runner_is_unavailable(engine, driver, blobs, make_call, image, left_of):
    # An image whose first process says something else than a runner would.
    made = engine.create_container(image, entrypoint=["echo"])
    plain = engine.commit(made["Id"], changes=['ENTRYPOINT ["python3", "-c", "print(1)"]'])["Id"]
    engine.remove_container(made["Id"])
    call = make_call("return None", image=plain)
    try:
        with pytest.raises(SandboxUnavailable, match="did not start"):
            await driver.run(call, blobs)
        assert left_of(call.call_id) == []
    finally:
        engine.remove_image(plain, force=True)


def test_names_fit_every_call_id():
    names = {container_name(f"run/{at}: ü:c1") for at in range(100)}
    assert len(names) == 100
    assert all(len(name) < 64 and name.isascii() for name in names)


@pytest.mark.parametrize("permission", ["", "production", "Tests"])
def test_in_process_driver_is_refused(permission):
    settings = Settings(sandbox_driver="in_process", unsafe_in_process=permission)
    with pytest.raises(Refused, match="isolates nothing"):
        make_driver(settings)
    with pytest.raises(Refused):
        InProcessDriver(Settings(unsafe_in_process="tests"))


async def test_open_door_runs_nothing(driver, blobs, make_call, left_of, monkeypatch):
    from interlock.sandbox import options

    closed = options.host_config

    def with_network(*args, **given):
        return {**closed(*args, **given), "NetworkMode": "host", "ReadonlyRootfs": False}

    monkeypatch.setattr(options, "host_config", with_network)
    call = make_call("return None")
    with pytest.raises(SandboxUnavailable, match="does not hold") as caught:
        await driver.run(call, blobs)
    assert "no network" in caught.value.reason
    assert "read-only root" in caught.value.reason
    assert left_of(call.call_id) == []


async def test_kill_during_start_is_cancelled(driver, blobs, make_call, left_of):
    call = make_call(SLEEP, limits={"time_s": 300})
    task = asyncio.create_task(driver.run(call, blobs))
    await asyncio.sleep(0)
    await driver.kill(call.call_id)
    assert (await asyncio.wait_for(task, 10)).status == "cancelled"
    assert left_of(call.call_id) == []
