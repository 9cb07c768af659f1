"""What a tool may use up ends where the profile says, and the limit that fired is named."""

from __future__ import annotations

import json

import pytest

from interlock.digest import digest_of
from interlock.errors import IntegrityError, InvalidInput
from interlock.types import FileEntry, Tree

pytestmark = pytest.mark.docker

MIB = 1 << 20


async def test_fork_bomb_meets_the_limit(attacker):
    result = await attacker.run("resources", "fork_bomb", limits={"pids": 48, "time_s": 1})
    assert result.status in ("timeout", "killed", "error")
    assert result.limit in ("time", "pids")


async def test_processes_are_counted_exactly(attacker):
    # The runner and the tool are two of the 32.
    assert await attacker.fact("resources", "forks", limits={"pids": 32}) == ["30", "EAGAIN"]


async def test_threads_count_as_processes(attacker):
    assert await attacker.fact("resources", "threads", limits={"pids": 32}) == 30


async def test_orphans_are_collected(attacker):
    assert await attacker.fact("resources", "orphans", arguments={"count": 200}, limits={"pids": 16}) == 200


async def test_memory_bomb_is_named(attacker):
    result = await attacker.run("resources", "memory", limits={"memory_mib": 64})
    assert (result.status, result.limit) == ("out_of_memory", "memory")


async def test_nameless_files_count_as_memory(attacker):
    result = await attacker.run("resources", "anonymous_files", limits={"memory_mib": 64})
    assert result.status in ("out_of_memory", "killed")
    assert result.limit == "memory"


async def test_socket_buffers_count_as_memory(attacker):
    result = await attacker.run("resources", "socket_buffers", limits={"memory_mib": 64})
    assert result.status in ("out_of_memory", "killed")
    assert result.limit == "memory"


PLACES = {"/workspace": 4, "/tmp": 3, "/dev/shm": 1, "/artifacts": 64}


@pytest.mark.parametrize("path", PLACES)
async def test_disk_fill_ends_at_its_size(attacker, path):
    limits = {"workspace_mib": 4, "tmp_mib": 3, "memory_mib": 256}
    size, refused = await attacker.fact("resources", "fill", arguments={"path": path}, limits=limits)
    # The largest place is as large as a file may be, so the other error comes first there.
    assert refused in ("ENOSPC", "EFBIG")
    assert PLACES[path] * MIB - 65536 < int(size) <= PLACES[path] * MIB


@pytest.mark.parametrize(
    ("path", "most"), {"/workspace": 50, "/tmp": 16_384, "/dev/shm": None, "/artifacts": 1024}.items()
)
async def test_inode_fill_ends_at_its_count(attacker, path, most):
    limits = {"workspace_files": 50, "memory_mib": 128}
    result = await attacker.run("resources", "fill_inodes", arguments={"path": path}, limits=limits)
    if most is None and result.status != "ok":
        # The engine sets no number there; memory is the limit.
        assert result.limit == "memory"
        return
    count, refused = json.loads(result.value)
    assert refused == "ENOSPC"
    assert most is None or most - 2 <= int(count) <= most


async def test_sparse_file_is_refused(attacker):
    limits = {"workspace_mib": 8}
    assert await attacker.fact("resources", "sparse", workspace_use="write", limits=limits) == ["EFBIG", "EFBIG"]


async def test_descriptors_run_out(attacker):
    count, refused, more = await attacker.fact("resources", "descriptors")
    assert (refused, more) == ("EMFILE", "ValueError")
    assert 1000 < int(count) < 1024


async def test_processors_are_held_back(attacker):
    found = await attacker.fact("resources", "spin", limits={"cpus": 0.2})
    assert found["nr_throttled"] > 0


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_gigabyte_of_output_is_stopped(attacker, stream):
    number = {"stdout": 1, "stderr": 2}[stream]
    result = await attacker.run("resources", "flood", arguments={"number": number}, limits={"output_kib": 256})
    assert (result.status, result.limit) == ("output_limit", "output")
    assert "bytes left out here" in getattr(result, stream)
    assert len(getattr(result, stream)) < 300 * 1024


async def test_double_forked_sleeper_dies_at_the_deadline(attacker):
    result = await attacker.run("resources", "sleep_on", limits={"time_s": 1})
    assert (result.status, result.limit, result.stdout) == ("timeout", "time", "before\n")


async def test_held_output_does_not_delay(attacker):
    result = await attacker.run("resources", "hold_output", limits={"time_s": 60})
    assert (result.status, result.value) == ("ok", b"7")
    assert "done\n" in result.stdout
    assert (result.ended_at - result.started_at).total_seconds() < 50


async def test_core_is_never_written(attacker):
    assert await attacker.fact("resources", "dump_core_limits") == ["(0, 0)", "ValueError"]
    result = await attacker.run("resources", "dump_core", workspace_use="write")
    assert (result.status, result.workspace.files) == ("killed", {})
    assert "SIGSEGV" in result.error


async def test_bytes_that_are_no_text_are_replaced(attacker):
    result = await attacker.run("resources", "odd_bytes")
    assert result.status == "ok"
    for text in (result.stdout, result.stderr):
        assert text.startswith("\ufffd\ufffd\x00\ufffd(")
        text.encode("utf-8")


async def test_huge_result_is_output_limit(attacker):
    result = await attacker.run("resources", "large", limits={"memory_mib": 384})
    assert (result.status, result.limit) == ("output_limit", "output")
    assert "write large results to files or artifacts" in result.error


async def test_huge_arguments_are_refused(attacker):
    text = "x" * (64 * MIB)
    with pytest.raises(InvalidInput, match="the limit is"):
        await attacker.run("resources", "fill", arguments={"path": text})


async def test_gigabyte_of_source_is_refused(attacker):
    with pytest.raises(InvalidInput, match="source of 'memory' has 1073741824 bytes, the limit is 16777216"):
        await attacker.run("resources", "memory", source=bytes(1 << 30))


async def test_gigabyte_of_workspace_is_refused(attacker, blobs):
    tree = Tree(files={"big": FileEntry(digest=digest_of("big"), size=1 << 30)})
    with pytest.raises(InvalidInput, match="the workspace has 1073741824 bytes, the limit is 256 MiB"):
        await attacker.run("resources", "forks", workspace=tree, workspace_use="read")


async def test_tree_that_lies_about_sizes_is_refused(attacker, blobs):
    tree = Tree(files={"small": FileEntry(digest=blobs.put(bytes(64 * MIB)), size=1)})
    with pytest.raises(IntegrityError, match="'small' has 67108864 bytes, the workspace says 1"):
        await attacker.run("resources", "forks", workspace=tree, workspace_use="read", limits={"workspace_mib": 8})
