"""Containers whose runner has been turned speak to the real driver: whatever they say is no success."""

from __future__ import annotations

import asyncio
import io
import secrets
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from interlock.errors import SandboxUnavailable

pytestmark = pytest.mark.docker

HOSTILE = Path(__file__).parent / "hostile"
MIB = 1 << 20
SMALL = {"workspace_mib": 2, "output_kib": 64, "workspace_files": 16, "warm_max": 1}


@pytest.fixture(scope="module")
def hostile(engine: docker.APIClient, image: str) -> Iterator[Callable[..., str]]:
    """The id of an image whose runner is a traitor, also before a tool comes; removed at the end."""
    made: dict[str, str] = {}
    repository = f"interlock-abuse-{secrets.token_hex(4)}"

    def build(before: str = "honest") -> str:
        if before not in made:
            arguments = {"BASE": image, "BEFORE": before}
            tag = f"{repository}:{before.replace('_', '-')}"
            said = list(
                engine.build(
                    fileobj=_context(),
                    custom_context=True,
                    tag=tag,
                    buildargs=arguments,
                    rm=True,
                    forcerm=True,
                    network_mode="none",
                    decode=True,
                )
            )
            assert not any("error" in line for line in said), said
            made[before] = tag
        return str(engine.inspect_image(made[before])["Id"])

    yield build
    for tag in made.values():
        engine.remove_image(tag, force=True)


def _context() -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(HOSTILE.iterdir()):
            if path.is_file():
                tar.add(path, path.name)
    buffer.seek(0)
    return buffer


@pytest.fixture(scope="module")
def turned(attacker, hostile):
    """Runs one attack of a runner that has been turned."""

    async def run(attack: str, given: str = "", **more):
        more = {"workspace_use": "write", **more, "limits": {**SMALL, **more.get("limits", {})}}
        return await attacker.run("hostile", attack, arguments={"given": given}, image=hostile(), **more)

    return run


def is_protocol(result):
    return result.status == "protocol" and result.workspace.files == {} and not result.artifacts


async def test_traitor_that_behaves_is_believed(turned):
    # Else the other tests would show nothing.
    result = await turned("honestly")
    assert (result.status, result.value, result.stdout) == ("ok", b"1", "honest\n")
    assert set(result.workspace.files) == {"honest.txt"}
    assert [one.name for one in result.artifacts] == ["honest.bin"]


async def test_reply_for_another_call_is_protocol(turned):
    result = await turned("other_call", "run-other:c1")
    assert is_protocol(result)
    assert "run-other:c1" in result.error


PATHS = [("file", "/etc/passwd"), ("file", "../up"), ("file", "a\x00b"), ("gone", "a/../../up"), ("artifact", "..")]


@pytest.mark.parametrize(("kind", "path"), PATHS)
async def test_forged_path_is_protocol(turned, kind, path):
    assert is_protocol(await turned(f"path_of_{kind}", path))


async def test_artifact_in_a_folder_is_protocol(turned):
    assert is_protocol(await turned("path_of_artifact", "folder/name"))


async def test_half_a_character_in_a_path_is_protocol(turned):
    assert is_protocol(await turned("half_character"))


async def test_two_contents_of_a_path_are_protocol(turned):
    assert is_protocol(await turned("file_twice"))
    assert is_protocol(await turned("file_and_folder"))


async def test_unasked_file_is_protocol(turned):
    result = await turned("unasked_file", workspace_use="read")
    assert is_protocol(result)
    assert "planted" in result.error


async def test_more_files_than_the_profile_takes_are_protocol(turned):
    assert is_protocol(await turned("many_files"))
    assert is_protocol(await turned("many_artifacts"))


async def test_more_bytes_than_the_profile_takes_are_protocol(turned):
    result = await turned("much_in_files")
    assert is_protocol(result)
    assert "more bytes of files" in result.error


async def test_forged_output_is_capped(turned):
    result = await turned("much_output")
    assert is_protocol(result)
    assert len(result.stdout) <= 64 * 1024


async def test_forged_count_of_dropped_bytes_is_harmless(turned):
    result = await turned("much_dropped")
    assert result.status in ("ok", "protocol")
    assert len(result.stdout) < 8 * 1024


@pytest.mark.parametrize(
    "attack", ["early_success", "unstarted_success", "unknown_status", "unknown_field", "forged_usage"]
)
async def test_forged_end_is_protocol(turned, attack):
    assert is_protocol(await turned(attack))


async def test_second_end_changes_nothing(turned):
    result = await turned("second_end")
    assert (result.status, result.value) == ("ok", b"1")


@pytest.mark.parametrize("reuse", ["call", "run"])
async def test_answer_ahead_of_its_call_is_not_believed(attacker, turned, reuse):
    run = f"abuse-{secrets.token_hex(6)}"
    limits = {"reuse": reuse}
    await turned("ahead", f"{run}:c2", run=run, number="c1", limits=limits)
    try:
        second = await turned("honestly", run=run, number="c2", limits=limits)
        assert second.value in (None, b"1")
    finally:
        await attacker.driver.release(run)


@pytest.mark.parametrize("bomb", ["deep", "same key", "bytes", "long"])
async def test_value_that_is_a_bomb_is_no_success(turned, bomb):
    result = await turned("value", bomb)
    assert result.status in ("error", "protocol", "output_limit")
    assert (result.value, result.workspace.files) == (None, {})


FRAMES = [
    "head of 16 megabytes",
    "head of 4 gigabytes",
    "body of 4 gigabytes",
    "deep head",
    "deep object",
    "endless number",
    "not a number",
    "no UTF-8",
]


@pytest.mark.parametrize("bomb", FRAMES)
async def test_frame_that_is_a_bomb_is_protocol(turned, bomb):
    assert is_protocol(await turned("frame", bomb))


async def test_mute_runner_times_out(turned):
    result = await turned("mute", limits={"time_s": 1})
    assert (result.status, result.limit) == ("timeout", "time")


async def test_dripping_runner_does_not_hold_the_deadline_up(turned):
    result = await turned("drip", limits={"time_s": 1})
    assert result.status in ("timeout", "protocol")


@pytest.mark.parametrize("attack", ["flood_output", "flood_errors"])
async def test_gigabyte_past_the_protocol_is_cut_off(turned, attack):
    assert is_protocol(await turned(attack))


async def test_runner_gone_before_the_end_is_killed(turned):
    result = await turned("leave")
    assert (result.status, result.value, result.workspace.files) == ("killed", None, {})


async def test_runner_that_does_not_read_can_be_killed(attacker, hostile, blobs):
    tree = blobs.tree({"big": secrets.token_bytes(32 * MIB)})
    call = attacker.call(
        "hostile",
        "honestly",
        arguments={"given": "stop reading"},
        image=hostile(),
        workspace=tree,
        workspace_use="read",
        limits={"memory_mib": 256},
    )
    task = asyncio.create_task(attacker.driver.run(call, blobs))
    await asyncio.sleep(1)
    assert not task.done()
    await asyncio.wait_for(attacker.driver.kill(call.call_id), 30)
    result = await asyncio.wait_for(task, 30)
    assert (result.status, result.value) == ("cancelled", None)


BEFORE = [
    "garbage",
    "other_version",
    "empty_facts",
    "endless_facts",
    "open_facts",
    "flood",
    "refuse",
    "dead",
    "claimed_by_another",
]


@pytest.mark.parametrize("before", BEFORE)
async def test_runner_that_does_not_prove_its_cage_serves_nothing(attacker, hostile, before):
    with pytest.raises(SandboxUnavailable) as caught:
        await attacker.run("hostile", "honestly", image=hostile(before))
    assert caught.value.next_step == "see `interlock sandbox doctor`"


async def test_runner_that_is_ready_twice_serves_nothing(attacker, hostile):
    try:
        result = await attacker.run("hostile", "honestly", image=hostile("twice"))
    except SandboxUnavailable:
        return
    assert is_protocol(result)


async def test_runner_that_never_starts_can_be_cancelled(attacker, hostile, engine):
    call = attacker.call("hostile", "honestly", image=hostile("silent"))
    task = asyncio.create_task(attacker.driver.run(call, attacker.blobs))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 15)
