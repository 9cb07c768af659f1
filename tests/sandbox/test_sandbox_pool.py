"""Containers are started ahead, taken by one call each, and never stand between a call and its answer."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from interlock.errors import Conflict, SandboxUnavailable
from interlock.sandbox import Ahead, DockerDriver, options
from interlock.sandbox.demand import FORGOTTEN, MEMORY_S, Demand
from interlock.sandbox.pool import Bounds, Pool
from interlock.types import Profile

pytestmark = pytest.mark.docker


WHERE = "return open('/proc/1/stat').read().split()[21] + ' ' + str(os.stat('/workspace').st_dev)"
"""When its first process started, and the device of a mount: no two containers have both in common."""


def profile(**limits):
    return Profile(**{"name": "default", "time_s": 20, "memory_mib": 128, **limits})


async def ready(driver, count=1, at=0):
    """Wait until so many containers of a pool are ready; its report."""
    for _ in range(600):
        found = (await driver.report()).pools[at]
        if found.waiting >= count:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(found)


async def test_call_takes_what_was_started_ahead(driver, image, blobs, make_call, engine):
    await driver.prepare([Ahead(profile(warm_min=1), image)])
    await ready(driver)
    call = make_call("return len(os.listdir('/workspace')) + len(os.listdir('/tmp'))", returns="int")
    result = await driver.run(call, blobs)
    assert (result.status, result.value, result.start) == ("ok", b"0", "warm")
    report = await ready(driver)
    assert (report.warm, report.cold, report.error) == (1, 0, "")


async def test_empty_pool_falls_back_and_says_so(driver, blobs, make_call):
    result = await driver.run(make_call("return 1", returns="int", limits={"warm_max": 0}), blobs)
    assert (result.value, result.start) == (b"1", "cold")
    (pool,) = (await driver.report()).pools
    assert (pool.waiting, pool.target, pool.cold) == (0, 0, 1)


async def test_demand_of_one_call_keeps_one_ready(driver, blobs, make_call):
    await driver.run(make_call("return None"), blobs)
    await ready(driver)
    assert (await driver.run(make_call("return None"), blobs)).start == "warm"


async def test_used_container_never_serves_again(driver, image, blobs, make_call):
    await driver.prepare([Ahead(profile(warm_min=2), image)])
    seen = []
    for _ in range(4):
        await ready(driver)
        body = "with open('/tmp/seen', 'x') as file: pass\n" + WHERE
        seen.append(await driver.run(make_call(body, returns="str"), blobs))
    assert [one.start for one in seen] == ["warm"] * 4
    assert len({one.value for one in seen}) == 4


async def test_calls_at_once_get_one_container_each(driver, image, blobs, make_call):
    await driver.prepare([Ahead(profile(warm_min=2), image)])
    await ready(driver, 2)
    body = "time.sleep(0.3)\n" + WHERE
    results = await asyncio.gather(*(driver.run(make_call(body, returns="str"), blobs) for _ in range(5)))
    assert {one.status for one in results} == {"ok"}
    assert len({one.value for one in results}) == 5
    assert sum(one.start == "warm" for one in results) >= 2


async def test_claim_is_exclusive_between_executors(driver, settings, image, blobs, make_call, left_of):
    """Two executors with containers waiting, and one call: the engine gives its name to one of them."""
    other = DockerDriver(settings)
    for one in (driver, other):
        await one.prepare([Ahead(profile(warm_min=1, time_s=60), image)])
        await ready(one)
    call = make_call("time.sleep(1)", limits={"time_s": 60})
    outcomes = await asyncio.gather(*(one.run(call, blobs) for one in (driver, other)), return_exceptions=True)
    assert sum(isinstance(one, Conflict) for one in outcomes) == 1
    assert sum(getattr(one, "status", "") == "ok" for one in outcomes) == 1
    # The one that was refused has its container still: nothing was sent to it.
    for one in (driver, other):
        assert (await one.run(make_call("return None", limits={"time_s": 60}), blobs)).start in ("warm", "cold")
        await one.settled()
    assert left_of(call.call_id) == []
    await other.close()


async def test_waiting_container_has_no_trace_of_a_call(driver, image, engine):
    await driver.prepare([Ahead(profile(warm_min=1), image)])
    await ready(driver)
    rows = engine.containers(filters={"label": options.LABEL})
    (row,) = [row for row in rows if row["Id"] in {one.ident for one in _waiting(driver)}]
    assert row["Names"][0].startswith("/interlock-idle-")
    assert {name for name in row["Labels"] if name.startswith("interlock.")} == {
        options.LABEL,
        options.LABEL_EXPIRES,
    }


def _waiting(driver):
    return [container for pool in driver._fleet._pools.values() for container in pool.waiting]


async def test_vanished_containers_are_replaced(driver, image, blobs, make_call, engine):
    await driver.prepare([Ahead(profile(warm_min=1), image)])
    await ready(driver)
    (gone,) = _waiting(driver)
    engine.remove_container(gone.ident, force=True)
    result = await driver.run(make_call("return 1", returns="int"), blobs)
    assert (result.status, result.start in ("cold", "warm")) == ("ok", True)
    await ready(driver)
    assert gone.ident not in {one.ident for one in _waiting(driver)}


async def test_vanished_containers_are_noticed_without_a_call(driver, image, engine):
    await driver.prepare([Ahead(profile(warm_min=1), image)])
    await ready(driver)
    (gone,) = _waiting(driver)
    engine.remove_container(gone.ident, force=True)
    for _ in range(200):
        await asyncio.sleep(0.05)
        if {one.ident for one in _waiting(driver)} - {gone.ident}:
            return
    raise AssertionError("never replaced")


async def test_paused_container_is_passed_over(driver, image, blobs, make_call, engine, monkeypatch):
    monkeypatch.setattr("interlock.sandbox.container._CLAIM_S", 1)
    await driver.prepare([Ahead(profile(warm_min=1), image)])
    await ready(driver)
    (stuck,) = _waiting(driver)
    engine.pause(stuck.ident)
    result = await driver.run(make_call("return 1", returns="int"), blobs)
    assert result.status == "ok"
    assert not engine.containers(all=True, filters={"id": stuck.ident})


async def test_changed_policy_drops_the_old(driver, image, engine):
    await driver.prepare([Ahead(profile(warm_min=1), image)])
    await ready(driver)
    (old,) = _waiting(driver)
    await driver.prepare([Ahead(profile(warm_min=1, memory_mib=96), image)])
    await driver.settled()
    assert not engine.containers(all=True, filters={"id": old.ident})
    report = await ready(driver)
    assert report.memory_mib == 96


async def test_close_leaves_nothing(settings, image, engine, blobs, make_call):
    driver = DockerDriver(settings)
    await driver.prepare([Ahead(profile(warm_min=2), image)])
    await ready(driver, 2)
    idents = {one.ident for one in _waiting(driver)}
    await driver.run(make_call("return None", limits={"reuse": "run"}), blobs)
    await driver.close()
    left = {row["Id"] for row in engine.containers(all=True, filters={"label": options.LABEL})}
    assert not idents & left
    assert _waiting(driver) == []


async def test_memory_of_waiting_containers_is_told(driver, image):
    await driver.prepare([Ahead(profile(warm_min=1), image)])
    await ready(driver)
    assert 1 << 20 < (await driver.report()).idle_bytes < 64 << 20


async def test_limits_of_a_waiting_container_are_the_profiles(driver, image, engine):
    await driver.prepare([Ahead(profile(warm_min=1, memory_mib=80, pids=33, cpus=0.5, workspace_mib=7), image)])
    await ready(driver)
    (one,) = _waiting(driver)
    host = engine.inspect_container(one.ident)["HostConfig"]
    assert (host["Memory"], host["PidsLimit"], host["NanoCpus"]) == (80 << 20, 33, 500_000_000)
    assert "size=7m" in host["Tmpfs"]["/workspace"]


# -- closed when something does not hold -------------------------------------------------------------------


async def test_failing_refill_fails_closed_and_recovers(settings, image, blobs, make_call, monkeypatch):
    driver, closed = DockerDriver(settings), options.host_config

    def open_door(*args, **given):
        return {**closed(*args, **given), "ReadonlyRootfs": False}

    monkeypatch.setattr(options, "host_config", open_door)
    await driver.prepare([Ahead(profile(warm_min=1), image)])
    for _ in range(200):
        report = (await driver.report()).pools[0]
        if report.error:
            break
        await asyncio.sleep(0.05)
    assert "does not hold" in report.error
    assert report.waiting == 0
    with pytest.raises(SandboxUnavailable, match="does not hold") as caught:
        await driver.run(make_call("return 1", returns="int"), blobs)
    assert caught.value.next_step
    monkeypatch.setattr(options, "host_config", closed)
    assert (await ready(driver)).error == ""
    result = await driver.run(make_call("return 1", returns="int"), blobs)
    assert (result.status, result.start) == ("ok", "warm")
    await driver.close()


async def test_failing_self_test_fails_closed(settings, image, blobs, make_call, monkeypatch):
    from interlock.sandbox.checks import control

    monkeypatch.setattr("interlock.sandbox.self_testing._passed", set())
    monkeypatch.setattr(
        "interlock.sandbox.self_testing.self_test", lambda *_: [control("attempt: bpf", False, "allowed")]
    )
    driver = DockerDriver(settings)
    with pytest.raises(SandboxUnavailable, match="attempt: bpf: allowed"):
        await driver.run(make_call("return 1", returns="int"), blobs)
    await driver.close()


async def test_unknown_runtime_serves_nothing(driver, blobs, make_call):
    with pytest.raises(SandboxUnavailable, match="runsc"):
        await driver.run(make_call("return 1", returns="int", limits={"runtime": "runsc"}), blobs)


# -- the pool itself, without an engine --------------------------------------------------------------------


class Fake:
    """Stands for a container that nothing reads."""

    def __init__(self):
        self.since = time.monotonic()
        self.stream = type("Stream", (), {"disturbed": False})()


class Place:
    """Starts fakes when it is told to."""

    def __init__(self):
        self.go, self.discarded, self.fails = threading.Semaphore(0), [], False
        self.pool = Pool(self.start, self.discarded.append, self.thread, threading.Semaphore(2))

    def start(self):
        self.go.acquire()
        if self.fails:
            raise SandboxUnavailable("no")
        return Fake()

    def thread(self, work):
        threading.Thread(target=work, daemon=True).start()


def test_refill_that_is_ready_first_is_taken():
    place = Place()
    place.pool.keep(Bounds(1, 1))  # a refill begins and waits
    while not place.pool.starting:
        time.sleep(0.01)
    caller = place.pool.take()  # so does the call's own start
    place.go.release()
    container, _ = caller.result(5)
    place.go.release()
    for _ in range(200):
        if place.pool.waiting:
            break
        time.sleep(0.01)
    # Whichever came second is kept for the next call, not thrown away.
    assert place.pool.waiting[0] is not container
    assert place.discarded == []
    place.pool.close()


def test_start_that_fails_is_told_to_its_caller():
    place = Place()
    place.fails = True
    caller = place.pool.take()
    place.go.release()
    with pytest.raises(SandboxUnavailable):
        caller.result(5)


def test_container_of_a_caller_who_left_is_not_lost():
    place = Place()
    place.pool.bounds = Bounds(0, 1)
    caller = place.pool.take()
    caller.cancel()
    place.go.release()
    for _ in range(200):
        if place.pool.waiting:
            break
        time.sleep(0.01)
    assert len(place.pool.waiting) == 1


def test_surplus_is_let_go():
    place = Place()
    place.pool.bounds = Bounds(0, 4)
    for _ in range(3):
        place.pool.give_back(Fake())
    assert len(place.pool.waiting) == 3
    place.pool.sweep()  # nobody has called
    assert (len(place.pool.waiting), len(place.discarded)) == (0, 3)


def test_closed_pool_keeps_nothing():
    place = Place()
    place.pool.bounds = Bounds(0, 4)
    place.pool.close()
    place.pool.give_back(Fake())
    assert (place.pool.waiting, len(place.discarded)) == ([], 1)


# -- demand ------------------------------------------------------------------------------------------------


def test_no_demand_wants_the_least():
    assert Demand().target(0, 0, 4) == 0
    assert Demand().target(0, 2, 4) == 2


def test_one_call_wants_one_and_is_forgotten():
    demand = Demand()
    demand.arrived(100.0)
    assert demand.target(100.0, 0, 4) == 1
    assert demand.target(100.0 + 2 * MEMORY_S, 0, 4) == 1
    assert demand.remembered(100.0 + 4 * MEMORY_S) < FORGOTTEN
    assert demand.target(100.0 + 4 * MEMORY_S, 0, 4) == 0


def test_more_calls_want_more_within_the_bounds():
    demand, now = Demand(), 0.0
    targets = []
    for _ in range(600):
        now += 0.2
        demand.arrived(now)
        targets.append(demand.target(now, 0, 64))
    assert targets == sorted(targets)
    assert targets[-1] == 6  # 5 a second, half a second each: 2.5 + 2 · √2.5 = 5.7
    assert demand.target(now, 0, 3) == 3


def test_slow_refills_want_more():
    demand = Demand()
    for at in range(60):
        demand.arrived(float(at))
    few = demand.target(60.0, 0, 64)
    for _ in range(30):
        demand.refilled(5.0)
    assert demand.target(60.0, 0, 64) > few
