"""Nothing of a call reaches the next, nor one that runs beside it; a later call finds what the image holds."""

from __future__ import annotations

import asyncio
import secrets

import pytest
from support.observing import Began

pytestmark = pytest.mark.docker

REUSES = ("call", "run")


@pytest.fixture(scope="module", params=REUSES)
async def seen(attacker, request):
    """What a call sees after one of the same run that left something everywhere."""
    run = f"abuse-{secrets.token_hex(6)}"
    more = {"run": run, "limits": {"reuse": request.param}}
    assert await attacker.fact("neighbours", "plant", **more) == 1
    found = await attacker.fact("neighbours", "look", **more)
    await attacker.driver.release(run)
    return found


async def test_interpreter_and_runner_are_not_rewritten(attacker):
    found = await attacker.fact("neighbours", "rewrite")
    assert len(found) == 16
    # A folder that is not there cannot be made either.
    assert set(found.values()) <= {"EROFS", "EACCES", "ENOENT"}
    assert {found["/usr/bin/python3"], found["/opt/interlock/__main__.py"]} <= {"EROFS", "EACCES"}


def test_files_do_not_reach_the_next_call(seen):
    assert seen["files"] == ""


def test_shared_memory_does_not_reach_the_next_call(seen):
    assert seen["objects"] == ""


def test_processes_do_not_reach_the_next_call(seen):
    # The runner, the tool; the program that looked has ended.
    assert (seen["processes"], seen["count"]) == ("1", "2")


def test_abstract_sockets_do_not_reach_the_next_call(seen):
    assert seen["sockets"] == ""


def test_planted_start_files_do_not_run(seen):
    assert (seen["interpreter"], seen["library"]) == ("False", "True")
    assert seen["library of a program"].startswith("/usr/")


def test_environment_does_not_reach_the_next_call(seen):
    assert seen["environment"] == "HOME INTERLOCK_ARTIFACTS LANG PATH PYTHONDONTWRITEBYTECODE TMPDIR"


def test_mask_and_priority_do_not_reach_the_next_call(seen):
    assert (seen["umask"], seen["nice"]) == ("0o22", "0")


@pytest.mark.parametrize("reuse", REUSES)
async def test_secret_of_one_call_is_not_found_by_the_next(attacker, reuse):
    secret, run = secrets.token_hex(16), f"abuse-{secrets.token_hex(6)}"
    more = {"run": run, "limits": {"reuse": reuse}}
    assert await attacker.fact("neighbours", "keep", arguments={"secret": secret}, **more) == 1000
    arguments = {"reversed_secret": secret[::-1]}
    assert await attacker.fact("neighbours", "search", arguments=arguments, **more) == []
    await attacker.driver.release(run)


async def test_another_run_never_gets_the_same_container(attacker):
    more = {"limits": {"reuse": "run"}}
    assert await attacker.fact("neighbours", "plant", run="abuse-one", **more) == 1
    found = await attacker.fact("neighbours", "look", run="abuse-two", **more)
    await attacker.driver.release("abuse-one")
    await attacker.driver.release("abuse-two")
    assert (found["files"], found["objects"], found["sockets"], found["count"]) == ("", "", "", "2")


@pytest.fixture(scope="module")
async def side_by_side(attacker):
    """What two calls saw of each other: the first runs before, while and after the second does."""
    marks = [f"mark-{secrets.token_hex(8)}" for _ in range(2)]
    first = {"mine": marks[0], "theirs": marks[1], "seconds": 100}
    second = {"mine": marks[1], "theirs": marks[0], "seconds": 1}
    began = Began()
    call = attacker.call("neighbours", "beside", arguments=first, limits={"time_s": 120})
    task = asyncio.create_task(attacker.driver.run(call, attacker.blobs, began))
    assert await asyncio.to_thread(began.event.wait, 60)
    seen = await attacker.fact("neighbours", "beside", arguments=second)
    assert not task.done()
    await attacker.driver.kill(call.call_id)
    result = await asyncio.wait_for(task, 30)
    assert result.status in ("cancelled", "killed")
    return result.stdout, seen


def test_call_beside_another_finds_nothing(side_by_side):
    printed, seen = side_by_side
    assert (printed, seen["found"], seen["segment"]) == ("up\n", "", "True")


def test_call_beside_another_sees_own_processes(side_by_side):
    # The runner, the tool and the one program that it started.
    assert side_by_side[1]["processes"] == "3"


async def test_nothing_of_the_host_is_told(attacker, monkeypatch):
    monkeypatch.setenv("INTERLOCK_SECRET", "s3cret")
    monkeypatch.setenv("HTTP_PROXY", "http://user:s3cret@proxy")
    found = await attacker.fact("neighbours", "told")
    environment = {name: found.pop(name) for name in list(found) if name.startswith("environment ")}
    assert environment == {
        "environment PATH": "/usr/local/bin:/usr/bin:/bin",
        "environment HOME": "/tmp",
        "environment TMPDIR": "/tmp",
        "environment LANG": "C.UTF-8",
        "environment PYTHONDONTWRITEBYTECODE": "1",
        "environment INTERLOCK_ARTIFACTS": "/artifacts",
    }
    assert (found["host name"], found["user"], found["home"]) == ("sandbox", "10001 10001 [10001]", "")
    assert found["command"].startswith("python3 -I -B /opt/interlock ")
    assert "s3cret" not in str(found)
    assert "abuse" not in str(found)


async def started(attacker, start, file, tool):
    """An attack in a container that was started ahead, for the call, or before for the same run."""
    limits = {"cold": {"warm_max": 0}, "warm": {"warm_min": 1, "warm_max": 1}, "leased": {"reuse": "run"}}[start]
    more = {"run": f"abuse-{secrets.token_hex(6)}", "limits": {"memory_mib": 131, **limits}}
    for _ in range(40):
        result = await attacker.run(file, tool, **more)
        if result.start == start:
            await attacker.driver.release(more["run"])
            return attacker.read(result)
        await asyncio.sleep(0.25)
    raise AssertionError(f"no start is {start}")


@pytest.mark.parametrize(("file", "tool"), [("kernel", "calls"), ("runner", "proc_files")])
async def test_every_start_is_as_closed(attacker, file, tool):
    cold = await started(attacker, "cold", file, tool)
    assert "allowed" not in cold.values()
    assert await started(attacker, "warm", file, tool) == cold
    assert await started(attacker, "leased", file, tool) == cold
