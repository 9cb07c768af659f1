"""Each limit of the profile fires, is named, and leaves nothing running."""

from __future__ import annotations

import pytest

from interlock.errors import InvalidInput
from interlock.types import Tree

pytestmark = pytest.mark.docker


async def test_memory_bomb_is_out_of_memory(run_tool):
    result = await run_tool("data = []\nwhile True: data.append(bytearray(8 << 20))", limits={"memory_mib": 64})
    assert (result.status, result.limit) == ("out_of_memory", "memory")


async def test_memory_filled_with_files_is_no_success(run_tool):
    body = """
    for at in range(1000):
        with open(f'/workspace/{at}', 'wb') as file:
            file.write(bytes(1 << 20))
    """
    result = await run_tool(body, limits={"memory_mib": 64, "workspace_mib": 512})
    assert result.status in ("out_of_memory", "killed")
    assert result.limit == "memory"


async def test_fork_bomb_meets_process_limit(run_tool):
    body = """
    while True:
        os.fork()
    """
    result = await run_tool(body, limits={"pids": 32, "time_s": 5})
    assert result.status in ("error", "timeout")
    assert result.limit in ("pids", "time")


async def test_refused_processes_are_named(run_tool):
    body = """
    while True:
        if os.fork() == 0:
            time.sleep(60)
    """
    result = await run_tool(body, limits={"pids": 32})
    assert (result.status, result.limit) == ("error", "pids")
    assert "BlockingIOError" in result.error


async def test_double_forked_child_dies_at_deadline(run_tool):
    body = """
    print('before', flush=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
    time.sleep(600)
    """
    result = await run_tool(body, limits={"time_s": 1})
    assert (result.status, result.limit) == ("timeout", "time")
    assert result.stdout == "before\n"


async def test_ignored_signals_do_not_outlive_deadline(run_tool):
    body = """
    import signal
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    while True:
        pass
    """
    assert (await run_tool(body, limits={"time_s": 1})).status == "timeout"


@pytest.mark.parametrize("number", [1, 2])
async def test_flood_is_stopped_with_head_and_tail(run_tool, number):
    body = f"""
    os.write({number}, b'the head ')
    block = b'x' * (1 << 20)
    for _ in range(1024):
        os.write({number}, block)
    """
    result = await run_tool(body, limits={"output_kib": 64})
    assert (result.status, result.limit) == ("output_limit", "output")
    text = result.stdout if number == 1 else result.stderr
    assert text.startswith("the head xxx")
    assert text.endswith("xxx")
    assert "bytes left out here" in text
    assert len(text) < 70 * 1024


async def test_long_output_keeps_head_and_tail(run_tool):
    body = """
    for at in range(20000):
        print(at)
    """
    result = await run_tool(body, limits={"output_kib": 8})
    assert result.status == "ok"
    assert result.stdout.startswith("0\n1\n2\n")
    assert result.stdout.endswith("19998\n19999\n")
    printed = sum(len(str(at)) + 1 for at in range(20000))
    assert f"[{printed - 8 * 1024} bytes left out here]" in result.stdout


async def test_large_result_is_output_limit(run_tool):
    result = await run_tool("return 'x' * 5000", returns="str", limits={"output_kib": 1})
    assert (result.status, result.limit) == ("output_limit", "output")


async def test_child_holding_stdout_does_not_delay(run_tool):
    body = """
    subprocess.Popen(['sleep', '600'])
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
    print('done')
    return 7
    """
    result = await run_tool(body, returns="int", limits={"time_s": 15})
    assert (result.status, result.value, result.stdout) == ("ok", b"7", "done\n")


async def test_workspace_over_its_size_is_refused_inside(run_tool):
    body = """
    with open('/workspace/big', 'wb') as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
    """
    result = await run_tool(body, limits={"workspace_mib": 4}, workspace_use="write")
    assert result.status == "error"
    assert "No space left" in result.error or "File too large" in result.error


async def test_too_many_files_are_refused_inside(run_tool):
    body = """
    for at in range(200):
        open(f'/workspace/{at}', 'w').close()
    """
    result = await run_tool(body, limits={"workspace_files": 50}, workspace_use="write")
    assert result.status == "error"
    assert "No space left" in result.error


async def test_too_deep_workspace_is_error(run_tool):
    body = """
    for _ in range(80):
        os.mkdir('d')
        os.chdir('d')
    open('f', 'w').close()
    """
    result = await run_tool(body, workspace_use="write")
    assert (result.status, result.limit) == ("error", "workspace")


async def test_workspace_over_the_profile_does_not_start(run_tool, blobs):
    tree: Tree = blobs.tree({"big": bytes(2 << 20)})
    with pytest.raises(InvalidInput, match="workspace has 2097152 bytes"):
        await run_tool("return None", workspace=tree, workspace_use="read", limits={"workspace_mib": 1})


async def test_ten_megabyte_argument_is_refused(run_tool):
    with pytest.raises(InvalidInput, match="the limit is"):
        await run_tool("return None", arguments={"text": "x" * 10_000_000})
