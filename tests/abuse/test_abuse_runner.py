"""The runner has the tool's user and is the first process: it can be neither ended, traced, slowed nor imitated."""

from __future__ import annotations

import secrets

import pytest

pytestmark = pytest.mark.docker


async def test_signals_do_not_end_the_runner(attacker):
    assert await attacker.fact("runner", "signals") > 0


async def test_runner_is_not_stopped(attacker):
    result = await attacker.run("runner", "stop_all", limits={"time_s": 1})
    assert (result.status, result.limit) == ("timeout", "time")


async def test_files_of_the_runner_stay_shut(attacker):
    found = await attacker.fact("runner", "proc_files")
    assert len(found) == 30
    assert set(found.values()) <= {"EACCES", "EPERM", "ENOENT", "EINVAL"}
    assert {found[name] for name in ("fd", "mem", "environ", "maps", "write mem", "root")} == {"EACCES"}


async def test_runner_is_not_slowed_down(attacker):
    found = await attacker.fact("runner", "controls")
    # One's own priority may be lowered; the runner keeps its.
    assert (found.pop("nice now"), found.pop("own nice")) == ("0", "1")
    assert found.pop("process group") in ("ESRCH", "EPERM")
    assert set(found.values()) == {"EPERM"}


async def test_forged_frames_reach_nobody(attacker):
    call = attacker.call("runner", "forge")
    call = call.model_copy(update={"arguments": {"call": call.call_id}})
    result = await attacker.driver.run(call, attacker.blobs)
    assert result.status == "error"
    assert result.error.endswith("ValueError: the real end")
    assert '"finished"' not in result.error


BOMBS = {
    "deep": "v" + "[" * 100_000 + "]" * 100_000,
    "number over 2^53": "v9007199254740993",
    "not a number": "vNaN",
    "same key twice": 'v{"a":1,"a":2}',
    "half a character": 'v"\\ud800"',
    "two values": "v1v2",
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_report_that_is_a_bomb_is_an_error(attacker, bomb):
    result = await attacker.run("runner", "leave", arguments={"report": BOMBS[bomb]})
    assert (result.status, result.value) == ("error", None)


async def test_report_of_megabytes_is_output_limit(attacker):
    arguments = {"report": 'v"' + "x" * (3 << 20) + '"'}
    result = await attacker.run("runner", "leave", arguments=arguments)
    assert (result.status, result.limit) == ("output_limit", "output")


async def test_good_report_with_a_bad_exit_is_an_error(attacker):
    result = await attacker.run("runner", "leave_with", arguments={"code": 3})
    assert result.status == "error"
    assert "exit code 3" in result.error


async def test_late_report_of_a_child_is_no_success(attacker):
    result = await attacker.run("runner", "outlive")
    assert result.status == "error"
    assert "exit code 1" in result.error


async def test_sibling_does_not_end_for_the_tool(attacker):
    result = await attacker.run("runner", "sibling")
    assert result.status == "error"
    assert "exit code 7" in result.error


async def test_program_of_a_tool_cannot_speak_for_it(attacker):
    found = await attacker.fact("runner", "judge")
    assert found["tests"] == "failed"
    refused = dict.fromkeys(("result pipe", "memory", "environment", "descriptors"), "EACCES")
    assert found["said"] == str({**refused, "own result pipe": "EBADF"})


async def test_caught_signals_and_stopped_clock_end_at_the_deadline(attacker):
    result = await attacker.run("runner", "interrupt", limits={"time_s": 1})
    assert (result.status, result.limit) == ("timeout", "time")
    # Its own clock stands still, and it would wait for a minute.
    assert 1 <= (result.ended_at - result.started_at).total_seconds() < 50


async def test_flood_of_signals_does_not_deafen(attacker):
    assert await attacker.fact("runner", "flood_signals") > 0


@pytest.mark.parametrize("reuse", ["call", "run"])
async def test_attacked_runner_serves_the_next_call(attacker, reuse):
    more = {"run": f"abuse-{secrets.token_hex(6)}", "limits": {"reuse": reuse}}
    assert await attacker.fact("runner", "signals", **more) > 0
    await attacker.fact("runner", "controls", **more)
    result = await attacker.run("runner", "flood_signals", **more)
    await attacker.driver.release(more["run"])
    assert result.status == "ok"
    # What the runner was spared, a leased container need not be thrown away for.
    assert (result.start == "leased") == (reuse == "run")


async def test_container_past_a_limit_is_not_used_again(attacker):
    more = {"run": f"abuse-{secrets.token_hex(6)}", "limits": {"reuse": "run", "time_s": 1}}
    assert (await attacker.run("runner", "stop_all", **more)).status == "timeout"
    result = await attacker.run("runner", "flood_signals", **more)
    await attacker.driver.release(more["run"])
    assert (result.status, result.start in ("warm", "cold")) == ("ok", True)
