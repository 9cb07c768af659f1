"""What comes back is regular files under plain names, as bytes: nothing is followed, opened or unpacked."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.docker

LEFT_OUT = ("passwd", "environ", "up", "folder", "root", "loop", "dangling", "descriptor", "pipe", "socket")


async def test_links_and_pipes_in_the_workspace_stay(attacker, blobs):
    result = await attacker.run("files", "links", arguments={"folder": "/workspace"}, workspace_use="write")
    assert result.status == "ok", result.error
    assert set(result.workspace.files) == {"plain", "hard"}
    assert {blobs.get(entry.digest) for entry in result.workspace.files.values()} == {b"kept"}
    noted = " ".join(result.notes)
    assert all(repr(name) in noted for name in LEFT_OUT)
    assert not any(b"root:" in content for content in blobs.content.values())


async def test_links_and_pipes_among_artifacts_stay(attacker, blobs):
    result = await attacker.run("files", "links", arguments={"folder": "/artifacts"})
    assert {one.name for one in result.artifacts} == {"plain", "hard"}
    assert not any(b"root:" in content for content in blobs.content.values())


async def test_hard_links_out_are_refused(attacker):
    found = await attacker.fact("files", "links", arguments={"folder": "/tmp"})
    assert found == {"hard link out": "EXDEV", "hard link to the runner": "EXDEV", "device": "EPERM"}


async def test_link_in_place_of_a_file_is_a_deletion(attacker, blobs):
    tree = blobs.tree({"a.txt": b"a", "folder/b.txt": b"b", "c.txt": b"c"})
    result = await attacker.run("files", "replace", workspace=tree, workspace_use="write")
    assert set(result.workspace.files) == {"c.txt"}
    assert not any(b"root:" in content for content in blobs.content.values())


async def test_names_that_lead_out_stay(attacker, blobs):
    result = await attacker.run("files", "upwards", workspace_use="write")
    assert result.value == b'{"":"EISDIR",".":"EISDIR","..":"EISDIR"}', result.error
    assert set(result.workspace.files) == {"...", "-rf", " "}
    assert len(result.notes) == 5


async def test_endless_folders_are_an_error(attacker):
    result = await attacker.run("files", "deep", workspace_use="write")
    assert (result.status, result.limit, result.workspace.files) == ("error", "workspace", {})


async def test_child_that_swaps_files_is_dead_before(attacker, blobs):
    result = await attacker.run("files", "late", workspace_use="write")
    assert result.status == "ok", result.error
    assert set(result.workspace.files) <= {"race", "new"}
    assert not any(b"root:" in content for content in blobs.content.values())


async def test_archives_are_kept_as_they_are(attacker, blobs):
    # Memory and disk of the profile would not hold what is in them.
    limits = {"memory_mib": 384, "workspace_mib": 16}
    result = await attacker.run("files", "bombs", workspace_use="write", limits=limits)
    assert result.status == "ok", result.error
    said = attacker.read(result)
    assert {one.name: f"{one.digest} {one.size}" for one in result.artifacts} == said
    assert {path: f"{one.digest} {one.size}" for path, one in result.workspace.files.items()} == said
    assert all(blobs.has(one.digest) and one.size < 5 << 20 for one in result.artifacts)


async def test_artifacts_are_counted(attacker):
    result = await attacker.run("files", "many_artifacts")
    assert result.status == "ok"
    assert len(result.artifacts) <= 64
    assert all("/" not in one.name and one.size == 1 for one in result.artifacts)


@pytest.mark.parametrize("folder", ["/workspace", "/artifacts"])
async def test_hollow_files_do_not_pass_the_limit(attacker, blobs, folder):
    more = {"workspace_use": "write", "limits": {"workspace_mib": 16}}
    result = await attacker.run("files", "hollow", arguments={"folder": folder}, **more)
    assert (result.status, result.limit, result.workspace.files) == ("error", "workspace", {})
    assert "hold" in result.error
    assert sum(len(content) for content in blobs.content.values()) <= 64 << 20


async def test_locked_folder_hides_nothing(attacker, blobs):
    result = await attacker.run("files", "locked", workspace_use="write")
    assert set(result.workspace.files) == {"shut/f"}, result.error
