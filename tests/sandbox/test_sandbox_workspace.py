"""Files go in and out as content: regular files only, changed ones only, and only from a tool that may write."""

from __future__ import annotations

import pytest

from interlock.errors import IntegrityError

pytestmark = pytest.mark.docker

FILES = {"a.txt": b"one", "sub/ünï çødé 文.txt": b"two", "run.sh": b"#!/bin/sh\necho ran\n", "empty": b""}


async def test_tool_sees_the_files(run_tool, blobs):
    body = """
    assert os.getcwd() == '/workspace'
    assert not os.access('a.txt', os.X_OK)
    out = subprocess.check_output(['./run.sh'], text=True)
    return [open('a.txt').read(), open('sub/ünï çødé 文.txt').read(), open('empty').read(), out]
    """
    tree = blobs.tree(FILES, executable=("run.sh",))
    result = await run_tool(body, returns="list[str]", workspace=tree, workspace_use="read")
    assert result.value == b'["one","two","","ran\\n"]', result.error
    assert result.workspace == tree


async def test_changes_come_back_and_rest_stays(run_tool, blobs):
    body = """
    open('a.txt', 'w').write('changed')
    os.remove('empty')
    os.makedirs('new/deep')
    open('new/deep/文.bin', 'wb').write(bytes(range(256)) * 4096)
    os.chmod('run.sh', 0o644)
    open('tool', 'w').close()
    os.chmod('tool', 0o755)
    os.rename('sub/ünï çødé 文.txt', 'moved')
    """
    tree = blobs.tree(FILES, executable=("run.sh",))
    result = await run_tool(body, workspace=tree, workspace_use="write")
    assert result.status == "ok", result.error
    assert blobs.contents(result.workspace) == {
        "a.txt": b"changed",
        "run.sh": FILES["run.sh"],
        "new/deep/文.bin": bytes(range(256)) * 4096,
        "tool": b"",
        "moved": b"two",
    }
    executable = {path for path, entry in result.workspace.files.items() if entry.executable}
    assert executable == {"tool"}
    assert result.workspace.files["moved"].size == 3


async def test_reading_tool_changes_nothing(run_tool, blobs):
    tree = blobs.tree(FILES)
    result = await run_tool("open('a.txt', 'w').write('x')", workspace=tree, workspace_use="read")
    assert (result.status, result.workspace) == ("ok", tree)


async def test_failed_tool_changes_nothing(run_tool, blobs):
    tree = blobs.tree(FILES)
    body = "open('a.txt', 'w').write('x')\nraise ValueError('no')"
    result = await run_tool(body, workspace=tree, workspace_use="write")
    assert (result.status, result.workspace) == ("error", tree)


async def test_links_and_pipes_are_left_behind(run_tool, blobs):
    body = """
    os.symlink('/etc/passwd', 'link')
    os.symlink('/proc/1/environ', 'a.txt.new')
    os.replace('a.txt.new', 'a.txt')
    os.symlink('/etc', 'folder')
    os.mkfifo('pipe')
    s = socket.socket(socket.AF_UNIX)
    s.bind('socket')
    open('plain', 'w').write('kept')
    os.link('plain', 'hard')
    """
    result = await run_tool(body, workspace=blobs.tree(FILES), workspace_use="write")
    assert result.status == "ok", result.error
    found = blobs.contents(result.workspace)
    assert "a.txt" not in found
    assert (found["plain"], found["hard"]) == (b"kept", b"kept")
    assert not {"link", "folder", "pipe", "socket"} & set(found)
    assert not any(b"root:" in content for content in found.values())
    assert all(any(repr(name) in note for note in result.notes) for name in ("link", "folder", "pipe", "a.txt"))


async def test_names_that_are_no_paths_are_left_behind(run_tool):
    body = r"""
    for name in (b'bad\xff', b'line\nbreak', b'back\\slash', b'fine'):
        open(b'/workspace/' + name, 'w').close()
    """
    result = await run_tool(body, workspace_use="write")
    assert result.status == "ok", result.error
    assert set(result.workspace.files) == {"fine"}
    assert len(result.notes) == 3


async def test_unreadable_files_come_back(run_tool, blobs):
    body = """
    os.mkdir('locked')
    open('locked/f', 'w').write('x')
    os.chmod('locked/f', 0)
    os.chmod('locked', 0)
    """
    result = await run_tool(body, workspace_use="write")
    assert blobs.contents(result.workspace) == {"locked/f": b"x"}, result.error


async def test_file_may_become_folder(run_tool, blobs):
    body = """
    os.remove('a')
    os.mkdir('a')
    open('a/b', 'w').close()
    """
    result = await run_tool(body, workspace=blobs.tree({"a": b""}), workspace_use="write")
    assert set(result.workspace.files) == {"a/b"}, result.error


async def test_late_child_cannot_change_files(run_tool, blobs):
    body = """
    if os.fork() == 0:
        while True:
            open('/workspace/race', 'a').write('x')
            os.path.islink('s') or os.symlink('/etc/passwd', 's')
    time.sleep(0.2)
    """
    result = await run_tool(body, workspace_use="write")
    assert result.status == "ok", result.error
    assert set(result.workspace.files) == {"race"}


async def test_missing_blob_starts_nothing(driver, blobs, left_of, make_call):
    class Missing(type(blobs)):
        def get(self, digest):
            raise IntegrityError(f"{digest} is not in the store")

    call = make_call("return None", workspace=blobs.tree(FILES), workspace_use="read")
    with pytest.raises(IntegrityError):
        await driver.run(call, Missing())
    assert left_of(call.call_id) == []
