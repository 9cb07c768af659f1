"""What a call used is measured by the kernel and by the host; what it prints is seen while it runs."""

from __future__ import annotations

import asyncio
import time

import pytest

from interlock.sandbox.call import Unobserved

pytestmark = pytest.mark.docker


class Printed(Unobserved):
    """Keeps what it sees, with the time."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, str, bytes]] = []

    def output(self, stream, data):
        self.seen.append((time.monotonic(), stream, data))


async def test_processor_time_is_measured(run_tool):
    busy = await run_tool("end = time.process_time() + 0.5\nwhile time.process_time() < end: pass")
    idle = await run_tool("time.sleep(0.5)")
    assert 400 <= busy.usage.cpu_ms < 5000
    assert idle.usage.cpu_ms < busy.usage.cpu_ms / 2


async def test_children_count_too(run_tool):
    body = "subprocess.run([sys.executable, '-c', 'import time\\nwhile time.process_time() < 0.5: pass'])"
    assert (await run_tool(body)).usage.cpu_ms >= 400


async def test_peak_of_memory_is_measured(run_tool):
    large = await run_tool("block = bytearray(b'x' * (64 << 20))\ndel block", limits={"memory_mib": 256})
    small = await run_tool("return None")
    assert 64 * 1024 <= large.usage.memory_kib <= 256 * 1024
    assert 0 < small.usage.memory_kib < 48 * 1024


async def test_memory_of_a_later_call_is_its_own(driver, blobs, make_call):
    given = {"run": "run-memory", "limits": {"reuse": "run", "memory_mib": 256}}
    large = await driver.run(make_call("block = bytearray(b'x' * (96 << 20))\ntime.sleep(0.1)", **given), blobs)
    small = await driver.run(make_call("return None", **given), blobs)
    assert small.start == "leased"
    assert large.usage.memory_kib >= 96 * 1024
    assert 0 < small.usage.memory_kib < 64 * 1024
    assert small.usage.cpu_ms < 2000


async def test_bytes_in_and_out_are_counted(run_tool, blobs):
    tree = blobs.tree({"in.bin": bytes(300_000)})
    body = "open('/workspace/out.bin', 'wb').write(os.urandom(200_000))\nprint('x' * 10_000)"
    usage = (await run_tool(body, workspace=tree, workspace_use="write")).usage
    assert 300_000 < usage.bytes_in < 310_000
    assert 210_000 < usage.bytes_out < 225_000


async def test_failed_call_is_measured_too(run_tool):
    result = await run_tool("while True: pass", limits={"time_s": 1})
    assert result.status == "timeout"
    assert result.usage.cpu_ms > 20


async def test_output_is_seen_while_the_call_runs(driver, blobs, make_call):
    printed = Printed()
    body = "print('first', flush=True)\nprint('oops', file=sys.stderr, flush=True)\ntime.sleep(0.5)\nprint('last')"
    result = await driver.run(make_call(body), blobs, printed)
    ended = time.monotonic()
    assert result.status == "ok"
    assert printed.seen[0][1:] == ("stdout", b"first\n")
    assert (ended - printed.seen[0][0]) > 0.45
    for stream, text in (("stdout", result.stdout), ("stderr", result.stderr)):
        assert b"".join(data for _, name, data in printed.seen if name == stream).decode() == text


async def test_observer_that_fails_changes_nothing(driver, blobs, make_call):
    class Failing(Unobserved):
        def output(self, stream, data):
            raise RuntimeError("no")

    result = await driver.run(make_call("print('x')\nreturn 3", returns="int"), blobs, Failing())
    assert (result.status, result.value, result.stdout) == ("ok", b"3", "x\n")


async def test_observer_sees_no_more_than_the_cap(driver, blobs, make_call):
    printed = Printed()
    call = make_call("for _ in range(200): os.write(1, b'x' * 10_000)", limits={"output_kib": 64})
    await driver.run(call, blobs, printed)
    assert sum(len(data) for *_, data in printed.seen) == 32 * 1024


async def test_cancelled_call_is_dead_within_two_seconds(driver, blobs, make_call, left_of):
    printed = Printed()
    body = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('on', flush=True)\ntime.sleep(600)"
    call = make_call(body, limits={"time_s": 600})
    task = asyncio.create_task(driver.run(call, blobs, printed))
    while not printed.seen:
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    assert left_of(call.call_id) == []
