"""An executor that is killed loses no call: another takes its containers over, and what nobody takes goes."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import textwrap

import pytest

from interlock.errors import Conflict
from interlock.sandbox import DockerDriver, clean
from interlock.sandbox.cleaning import Sweep
from interlock.sandbox.docker_driver import container_name
from interlock.sandbox.owner import is_dead
from interlock.settings import Settings

pytestmark = pytest.mark.docker

EXECUTOR = """
import asyncio, hashlib, json, os, sys
from pathlib import Path
from interlock.sandbox import Ahead, DockerDriver, SandboxCall
from interlock.sandbox import container
from interlock.settings import Settings

container._SOON_S = float(sys.argv[3])

class Blobs(dict):
    def put(self, data): return "sha256:" + hashlib.sha256(data).hexdigest()

class Printed:
    def __init__(self, call): self.call = call
    def output(self, stream, data): os.write(1, json.dumps([self.call, data.decode()]).encode() + b"\\n")
    def leaving(self, record): pass

async def main():
    calls = [SandboxCall.model_validate(one) for one in json.loads(Path(sys.argv[1]).read_text())]
    driver = DockerDriver(Settings(root=Path(sys.argv[2])))
    ahead = calls[0].profile.model_copy(update={"name": "ahead", "memory_mib": 96, "warm_min": 1})
    await driver.prepare([Ahead(ahead, calls[0].image)])
    while not (await driver.report()).pools[0].waiting:
        await asyncio.sleep(0.05)
    await asyncio.gather(*(driver.run(call, Blobs(), Printed(call.call_id)) for call in calls))

asyncio.run(main())
"""

ONCE = """
import secrets
nonce = secrets.token_hex(8)
print(nonce, flush=True)
time.sleep({seconds})
with open('/workspace/nonce', 'a') as file:
    file.write(nonce)
with open('/artifacts/nonce', 'a') as file:
    file.write(nonce)
print('after', flush=True)
return nonce
"""


QUICK = b'from interlock import tool\n@tool(action="x")\ndef t() -> str:\n    """Do it."""\n    return "done"\n'


@pytest.fixture
async def killed(settings, left_of, tmp_path):
    """Run calls in an executor of their own, then kill it; what each call printed.

    It is killed once each call has printed, and its container has its name unless that comes late.
    """
    started = []

    async def run(calls, named_after_s=0.01):
        stored = tmp_path / "calls.json"
        stored.write_text(json.dumps([call.model_dump(mode="json") for call in calls]))
        arguments = (sys.executable, "-c", EXECUTOR, str(stored), str(settings.root), str(named_after_s))
        process = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
        started.append(process)
        printed = {}
        while len(printed) < len(calls):
            line = await asyncio.wait_for(process.stdout.readline(), 60)
            assert line, "the executor ended"
            call, text = json.loads(line)
            printed.setdefault(call, text.splitlines()[0])
        while named_after_s < 1 and not all(left_of(call.call_id) for call in calls):
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        return printed

    yield run
    for process in started:
        if process.returncode is None:
            process.kill()


TAKER = """
import asyncio, hashlib, sys
from pathlib import Path
from interlock.sandbox import DockerDriver, SandboxCall
from interlock.settings import Settings

class Blobs(dict):
    def put(self, data): return "sha256:" + hashlib.sha256(data).hexdigest()

call = SandboxCall.model_validate_json(Path(sys.argv[1]).read_text())
asyncio.run(DockerDriver(Settings(root=Path(sys.argv[2]))).resume(call, Blobs()))
"""


@pytest.fixture
def taker(settings, left_of, tmp_path):
    """Take a call over in an executor of its own, and kill that while it follows the call."""

    async def take(call):
        stored = tmp_path / "call.json"
        stored.write_text(call.model_dump_json())
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", TAKER, str(stored), str(settings.root))
        while not any(name.endswith("-taken") for name in left_of(call.call_id)):
            assert process.returncode is None, "the executor ended"
            await asyncio.sleep(0.02)
        process.kill()
        await process.wait()
        assert any(name.endswith("-taken") for name in left_of(call.call_id))

    return take


def made(make_call, image, seconds, **given):
    given = {"workspace_use": "write", "returns": "str", "limits": {"time_s": 120, "memory_mib": 64}, **given}
    return make_call(ONCE.format(seconds=seconds), image=image, **given)


async def test_twenty_calls_survive_their_executor(killed, settings, image, blobs, make_call, left_of, engine):
    calls = [made(make_call, image, seconds=20) for _ in range(20)]
    printed = await killed(calls)
    driver = DockerDriver(Settings(root=settings.root, sandbox_reap_s=1))
    results = await asyncio.gather(*(driver.resume(call, blobs) for call in calls))
    for call, result in zip(calls, results, strict=True):
        nonce = printed[call.call_id]
        assert (result.status, result.value, result.start) == ("ok", f'"{nonce}"'.encode(), "resumed")
        assert result.stdout == f"{nonce}\nafter\n"
        assert blobs.contents(result.workspace) == {"nonce": nonce.encode()}
        assert blobs.get(result.artifacts[0].digest) == nonce.encode()
        assert result.usage.memory_kib > 0
        assert left_of(call.call_id) == []
    # A call whose container is gone has nothing to take over, so whoever asks again runs nothing again.
    assert await driver.resume(calls[0], blobs) is None
    Sweep(take_over_s=0).sweep()
    names = [row["Names"][0] for row in engine.containers(all=True, filters={"label": "interlock.sandbox"})]
    assert not {f"/{container_name(call.call_id)}" for call in calls} & set(names)
    await driver.close()


async def test_finished_call_waits_for_another_executor(killed, image, driver, blobs, make_call):
    call = made(make_call, image, seconds=1)  # it ends once its executor is dead
    printed = await killed([call])
    await asyncio.sleep(2)
    result = await driver.resume(call, blobs)
    assert (result.status, result.value) == ("ok", f'"{printed[call.call_id]}"'.encode())


async def test_two_take_overs_exclude_each_other(killed, settings, image, driver, blobs, make_call):
    call = made(make_call, image, seconds=3)
    await killed([call])
    other = DockerDriver(settings)
    outcomes = await asyncio.gather(driver.resume(call, blobs), other.resume(call, blobs), return_exceptions=True)
    assert sum(isinstance(one, Conflict) for one in outcomes) == 1
    assert [one.status for one in outcomes if not isinstance(one, Conflict)] == ["ok"]
    await other.close()


async def test_take_over_survives_whoever_takes_over(killed, settings, image, blobs, make_call, left_of, taker):
    """The second executor dies while it follows the call that the first one left."""
    call = made(make_call, image, seconds=4)
    printed = await killed([call])
    await taker(call)
    driver = DockerDriver(settings)
    result = await driver.resume(call, blobs)
    assert (result.status, result.value) == ("ok", f'"{printed[call.call_id]}"'.encode())
    assert left_of(call.call_id) == []
    await driver.close()


async def test_call_of_a_dead_executor_is_not_begun_again(killed, image, driver, blobs, make_call):
    call = made(make_call, image, seconds=60)
    await killed([call])
    with pytest.raises(Conflict):
        await driver.run(call, blobs)
    await driver.kill(call.call_id)


async def test_taken_over_call_keeps_its_deadline(killed, image, driver, blobs, make_call, left_of):
    call = made(make_call, image, seconds=60, limits={"time_s": 3, "memory_mib": 64})
    printed = await killed([call])
    result = await driver.resume(call, blobs)
    assert (result.status, result.limit, result.stdout) == ("timeout", "time", printed[call.call_id] + "\n")
    assert left_of(call.call_id) == []


async def test_cancelled_take_over_kills(killed, image, driver, blobs, make_call, left_of):
    call = made(make_call, image, seconds=60)
    await killed([call])
    task = asyncio.create_task(driver.resume(call, blobs))
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    assert left_of(call.call_id) == []


async def test_paused_container_is_not_taken_over(killed, image, driver, blobs, make_call, left_of, engine):
    call = made(make_call, image, seconds=60)
    await killed([call])
    engine.pause(container_name(call.call_id))
    assert await driver.resume(call, blobs) is None
    assert left_of(call.call_id) == []


async def test_busy_container_of_the_dead_is_spared_for_a_while(killed, settings, image, make_call, left_of):
    call = made(make_call, image, seconds=60)
    await killed([call])
    Sweep(take_over_s=60).sweep()
    assert len(left_of(call.call_id)) == 1
    assert [line for line in clean(settings) if container_name(call.call_id) in line and "dead" in line]
    assert left_of(call.call_id) == []


async def test_waiting_container_of_the_dead_goes_at_once(killed, image, make_call, engine):
    for _ in range(5):  # an executor of another test may look for what is left, and find it first
        await killed([made(make_call, image, seconds=0)])
        rows = engine.containers(all=True, filters={"label": "interlock.sandbox"})
        idle = {row["Id"] for row in rows if row["Names"][0].startswith("/interlock-idle-")}
        dead = {row["Id"] for row in rows if is_dead(row["Labels"]["interlock.sandbox"])}
        if idle & dead:
            break
    assert idle & dead
    Sweep(take_over_s=60).sweep()
    left = {row["Id"] for row in engine.containers(all=True, filters={"label": "interlock.sandbox"})}
    assert not idle & dead & left


async def test_nothing_of_another_call_is_given(driver, blobs, make_call, image, engine):
    """A container that has a call's name and runs another call."""
    call, other = (made(make_call, image, seconds=60) for _ in range(2))
    task = asyncio.create_task(driver.run(other, blobs))
    for _ in range(200):
        if engine.containers(filters={"name": container_name(other.call_id)}):
            break
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    engine.rename(container_name(other.call_id), container_name(call.call_id))
    taker = DockerDriver(Settings())
    assert await taker.resume(call, blobs) is None
    await taker.close()
    assert (await asyncio.wait_for(task, 10)).status in ("killed", "protocol")


def test_executor_script_is_python():
    compile(textwrap.dedent(EXECUTOR), "executor", "exec")


async def test_call_killed_before_it_has_its_name_is_taken_over(killed, image, driver, blobs, make_call, left_of):
    call = made(make_call, image, seconds=2)
    printed = await killed([call], named_after_s=60)
    Sweep(take_over_s=60).sweep()
    assert left_of(call.call_id) == []
    result = await driver.resume(call, blobs)
    assert (result.status, result.value) == ("ok", f'"{printed[call.call_id]}"'.encode())


async def test_call_without_its_name_yet_can_be_killed(killed, image, driver, blobs, make_call):
    call = made(make_call, image, seconds=60)
    await killed([call], named_after_s=60)
    await driver.kill(call.call_id)
    assert await driver.resume(call, blobs) is None
    assert (await driver.run(call.model_copy(update={"source": QUICK}), blobs)).status == "ok"
