"""A container leased to a run serves that run alone, remembers nothing between two calls, and is never shared."""

from __future__ import annotations

import asyncio

import pytest

from interlock.errors import Conflict
from interlock.sandbox.call import Unobserved
from interlock.types import EgressRule, WayOut

pytestmark = pytest.mark.docker

WHERE = "return open('/proc/1/stat').read().split()[21] + ' ' + str(os.stat('/workspace').st_dev)"
"""When its first process started, and the device of a mount: no two containers have both in common."""


@pytest.fixture
def leased(driver, blobs, make_call):
    """Run a body in the run's own container."""

    async def run(body, run="run-a", returns="str", **given):
        limits = {"reuse": "run", **given.pop("limits", {})}
        return await driver.run(make_call(body, run=run, returns=returns, limits=limits, **given), blobs)

    return run


async def test_second_call_meets_the_same_container(leased):
    first, second = await leased(WHERE), await leased(WHERE)
    assert (first.status, second.status) == ("ok", "ok")
    assert (first.start in ("cold", "warm"), second.start) == (True, "leased")
    assert first.value == second.value


LEFT = {
    "files": (
        "for d in ('/workspace', '/tmp', '/artifacts', '/dev/shm'):\n"
        "    os.makedirs(d + '/deep/er')\n    open(d + '/deep/er/file', 'w').write('x')\n"
        "    open(d + '/f', 'w').close()\n"
        "    os.symlink('/etc/passwd', d + '/link')\n    os.mkfifo(d + '/pipe')\n    os.chmod(d + '/deep', 0)",
        "found = [d + '/' + n for d in ('/workspace', '/tmp', '/artifacts', '/dev/shm') for n in os.listdir(d)]",
    ),
    "processes": (
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(600)\n    os._exit(0)",
        "found = [n for n in os.listdir('/proc') if n.isdigit() and int(n) not in (1, os.getpid())]",
    ),
    "environment": ("os.environ['SECRET'] = 'x'", "found = [n for n in os.environ if n == 'SECRET']"),
    "modules": (
        "import json\njson.loads = None\nsys.path.insert(0, '/workspace')",
        "import json\nfound = [] if json.loads else ['json']",
    ),
    "shared memory": (
        "import ctypes\nc = ctypes.CDLL(None)\nassert c.shmget(4711, 4096, 0o1600) >= 0\n"
        "assert c.semget(4711, 1, 0o1600) >= 0\n"
        "assert c.msgget(4711, 0o1600) >= 0",
        "found = [n for n in ('shm', 'sem', 'msg') if len(open('/proc/sysvipc/' + n).readlines()) > 1]",
    ),
    "queues": (
        "import ctypes\nc = ctypes.CDLL(None, use_errno=True)\n"
        "assert c.mq_open(b'/left', os.O_CREAT | os.O_RDWR, 0o600, None) >= 0, ctypes.get_errno()",
        "found = os.listdir('/dev/mqueue')",
    ),
    "attributes of folders": (
        "os.chmod('/workspace', 0o711)\nos.chmod('/tmp', 0o777)\n"
        "try:\n    os.setxattr('/workspace', 'user.left', b'x')\nexcept OSError:\n    pass",
        "found = [d for d in ('/workspace', '/tmp') if os.stat(d).st_mode & 0o777 != 0o700]\n"
        "found += [n for n in os.listxattr('/workspace') if n.startswith('user.')]",
    ),
}


@pytest.mark.parametrize("kind", LEFT)
async def test_nothing_is_left_for_the_next_call(leased, kind):
    leave, look = LEFT[kind]
    first = await leased(leave + "\nreturn 'left'")
    assert first.value == b'"left"', first.error
    second = await leased(look + "\nreturn ' '.join(map(str, found))")
    assert (second.start, second.value) == ("leased", b'""'), second.error


async def test_workspace_is_as_the_call_says(leased, blobs):
    first = await leased("open('a', 'w').write('1')\nreturn ''", workspace_use="write")
    assert blobs.contents(first.workspace) == {"a": b"1"}
    second = await leased(
        "return ' '.join(sorted(os.listdir()))", workspace_use="write", workspace=blobs.tree({"b": b"2"})
    )
    assert second.value == b'"b"'
    assert set(second.workspace.files) == {"b"}


async def test_another_run_meets_another_container(leased):
    first, second = await leased(WHERE), await leased(WHERE, run="run-b")
    assert second.start != "leased"
    assert first.value != second.value


@pytest.mark.parametrize(
    "change",
    [{"tenant": "other"}, {"labels": ("secret",)}, {"limits": {"memory_mib": 96}}, {"limits": {"output_kib": 7}}],
    ids=["tenant", "labels", "limits", "output"],
)
async def test_lease_is_for_one_tenant_label_and_profile(leased, change):
    first, second = await leased(WHERE), await leased(WHERE, **change)
    assert (second.status, second.start != "leased") == ("ok", True)
    assert first.value != second.value


async def test_other_labels_end_the_lease(leased, driver):
    await leased(WHERE)
    await leased(WHERE, labels=("secret",))
    assert (await driver.report()).leased == 1
    assert (await leased(WHERE)).start != "leased"


async def test_way_out_is_part_of_the_lease(leased):
    out = WayOut(rules=(EgressRule(host="example.org"),))
    first = await leased(WHERE)
    assert (await leased(WHERE, way_out=out)).start != "leased"
    assert (await leased(WHERE, way_out=out)).start == "leased"
    assert (await leased(WHERE)).value == first.value


UNCLEAN = {
    "timeout": ("time.sleep(60)", {"time_s": 1}),
    "killed": ("os.kill(os.getpid(), 9)", {}),
    "output_limit": ("while True: os.write(1, b'x' * 65536)", {"output_kib": 4}),
    "out_of_memory": ("data = []\nwhile True: data.append(bytearray(8 << 20))", {"memory_mib": 64}),
}


@pytest.mark.parametrize("status", UNCLEAN)
async def test_unclean_end_ends_the_lease(leased, driver, status):
    body, limits = UNCLEAN[status]
    assert (await leased(body, limits=limits)).status == status
    assert (await driver.report()).leased == 0
    assert (await leased(WHERE, limits=limits)).start != "leased"


async def test_failed_tool_keeps_the_lease(leased):
    assert (await leased("raise ValueError('no')")).status == "error"
    assert (await leased(WHERE)).start == "leased"


async def test_cap_on_calls_ends_the_lease(leased):
    limits = {"run_calls": 2}
    starts = [(await leased(WHERE, limits=limits)).start == "leased" for _ in range(5)]
    assert starts == [False, True, False, True, False]


async def test_cap_on_time_ends_the_lease(leased, driver):
    await leased(WHERE, limits={"run_s": 1})
    assert (await driver.report()).leased == 1
    for _ in range(60):
        if not (await driver.report()).leased:
            break
        await asyncio.sleep(0.1)
    assert (await driver.report()).leased == 0


async def test_end_of_the_run_ends_the_lease(leased, driver, engine):
    await leased(WHERE)
    await leased(WHERE, run="run-b")
    await driver.release("run-a")
    assert (await driver.report()).leased == 1
    assert (await leased(WHERE)).start != "leased"
    assert (await leased(WHERE, run="run-b")).start == "leased"


async def test_run_that_ends_during_a_call_keeps_nothing(driver, blobs, make_call, left_of):
    class Begun(Unobserved):
        event = asyncio.Event()
        loop = asyncio.get_running_loop()

        def output(self, stream, data):
            self.loop.call_soon_threadsafe(self.event.set)

    body = "print('on', flush=True)\ntime.sleep(0.5)"
    call, begun = make_call(body, run="run-a", limits={"reuse": "run"}), Begun()
    task = asyncio.create_task(driver.run(call, blobs, begun))
    await begun.event.wait()
    await driver.release("run-a")
    assert (await task).status == "ok"
    assert (await driver.report()).leased == 0
    await driver.settled()
    assert left_of(call.call_id) == []


async def test_two_calls_at_once_get_two_containers(leased):
    body = "time.sleep(0.5)\n" + WHERE
    first, second = await asyncio.gather(leased(body), leased(body))
    assert first.value != second.value
    assert {(await leased(WHERE)).value, (await leased(WHERE)).value} <= {first.value, second.value}


async def test_duplicate_of_a_leased_call_is_refused(driver, settings, blobs, make_call):
    from interlock.sandbox import DockerDriver

    given = {"run": "run-a", "limits": {"reuse": "run", "time_s": 60}}
    await driver.run(make_call("return None", **given), blobs)
    call = make_call("time.sleep(600)", **given)
    task = asyncio.create_task(driver.run(call, blobs))
    await asyncio.sleep(1)
    other = DockerDriver(settings)
    with pytest.raises(Conflict):
        await other.run(call, blobs)
    await driver.kill(call.call_id)
    assert (await asyncio.wait_for(task, 10)).status == "cancelled"
    await other.close()


async def test_same_call_again_meets_no_remains(leased):
    first = await leased(WHERE, call_id="run-a:again")
    second = await leased(WHERE, call_id="run-a:again")
    assert second.status == "ok"
    assert first.value != second.value


async def test_vanished_lease_is_replaced(leased, driver, engine):
    from interlock.sandbox.docker_driver import container_name

    await leased(WHERE, call_id="run-a:c1")
    engine.remove_container(container_name("run-a:c1"), force=True)
    result = await leased(WHERE)
    assert (result.status, result.start != "leased") == ("ok", True)


async def test_container_that_cannot_be_emptied_serves_no_more(leased):
    """Deeper than the runner can walk: it ends instead of serving with a rest."""
    body = "for _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')\nreturn 'deep'"
    assert (await leased(body, limits={"workspace_files": 5000})).value == b'"deep"'
    result = await leased("return ' '.join(os.listdir())", limits={"workspace_files": 5000})
    assert (result.status, result.value, result.start != "leased") == ("ok", b'""', True)
