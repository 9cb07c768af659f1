"""What a tool can reach from inside: not the network, not the host, and above all not the runner."""

from __future__ import annotations

import json

import pytest

from interlock.sandbox import doctor
from interlock.settings import Settings

pytestmark = pytest.mark.docker


async def facts_of(run_tool, body: str, **given):
    result = await run_tool(body, returns="list[str]", **given)
    assert result.status == "ok", result.error
    return json.loads(result.value)


def test_every_control_holds(settings, image):
    checks = doctor(settings)
    assert [check for check in checks if not check.ok] == []
    names = {check.name for check in checks}
    assert {"no capabilities", "no network", "engine: memory without swap", "attempt: io_uring"} <= names
    assert len(checks) > 45


def test_doctor_names_a_missing_image(settings, image):
    checks = doctor(Settings(root=settings.root, image_prefix="interlock-nothing-here"))
    failed = [check for check in checks if not check.ok]
    assert [(check.name, check.fix) for check in failed] == [("sandbox image", "interlock sandbox build")]


async def test_limits_hold_inside(run_tool):
    body = """
    def read(*paths):
        for path in paths:
            if os.path.exists(path):
                return open(path).read().strip()
    memory = read('/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes')
    pids = read('/sys/fs/cgroup/pids.max', '/sys/fs/cgroup/pids/pids.max')
    import resource
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    core = resource.getrlimit(resource.RLIMIT_CORE)
    return [memory, pids, str(files), str(core)]
    """
    found = await facts_of(run_tool, body, limits={"memory_mib": 96, "pids": 20})
    assert found == [str(96 << 20), "20", "(1024, 1024)", "(0, 0)"]


async def test_environment_is_built_from_nothing(run_tool, monkeypatch):
    monkeypatch.setenv("INTERLOCK_SECRET", "s3cret")
    monkeypatch.setenv("HTTP_PROXY", "http://user:s3cret@proxy")
    names = await facts_of(run_tool, "return sorted(os.environ)")
    assert names == ["HOME", "INTERLOCK_ARTIFACTS", "LANG", "PATH", "PYTHONDONTWRITEBYTECODE", "TMPDIR"]


async def test_no_descriptor_of_the_runner_is_left(run_tool):
    found = await facts_of(run_tool, "return sorted(os.listdir('/proc/self/fd'))")
    # 0 to 2, the tool's own result pipe, and the listing itself
    assert found == ["0", "1", "2", "3", "4"]


async def test_runner_cannot_be_opened(run_tool):
    body = """
    found = []
    for name in ('fd', 'fd/0', 'fd/1', 'fd/10', 'fd/11', 'mem', 'environ', 'maps', 'cwd', 'root', 'task/1/fd'):
        try:
            path = f'/proc/{os.getppid()}/{name}'
            os.listdir(path) if os.path.isdir(path) else open(path, 'r+b')
            found.append(name)
        except OSError:
            pass
    return [str(os.getppid()), *found]
    """
    found = await facts_of(run_tool, body)
    assert found[0] == "1"
    assert set(found[1:]) <= {"root"} or found[1:] == []


async def test_forged_frames_go_nowhere(run_tool):
    body = r"""
    import json, struct
    head = json.dumps({'kind': 'end', 'call': 'x', 'more': False, 'status': 'ok', 'error': '', 'limit': '',
                       'notes': [], 'dropped': {}}).encode()
    frame = struct.pack('>II', len(head), 0) + head
    written = 0
    # 3 is the pipe of the tool's own result, which is the tool's to spoil.
    for number in set(range(64)) - {3}:
        try:
            written += os.write(number, frame) > 0
        except OSError:
            pass
    for process in (1, os.getpid()):
        for number in set(range(32)) - {3}:
            try:
                os.write(os.open(f'/proc/{process}/fd/{number}', os.O_WRONLY), frame)
            except OSError:
                pass
    raise ValueError('the real end')
    """
    result = await run_tool(body)
    assert result.status == "error"
    assert result.error.endswith("ValueError: the real end")


async def test_runner_survives_every_signal(run_tool):
    body = """
    import signal
    for number in range(1, 65):
        try:
            os.kill(1, number)
        except OSError:
            pass
    time.sleep(0.2)
    return 1
    """
    result = await run_tool(body, returns="int")
    assert (result.status, result.value) == ("ok", b"1")


async def test_limits_of_the_runner_cannot_be_changed(run_tool):
    body = """
    import resource
    try:
        resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))
    except OSError as error:
        return [type(error).__name__]
    return ['changed']
    """
    assert await facts_of(run_tool, body) == ["PermissionError"]


async def test_starved_runner_is_never_a_success(run_tool):
    body = """
    # Eat all memory in files, which killing processes does not free, so that the kernel turns to the runner.
    if os.fork() == 0:
        os.setsid()
        try:
            with open('/proc/self/oom_score_adj', 'w') as file:
                file.write('0')
        except OSError:
            pass
    at = 0
    while True:
        at += 1
        with open(f'/workspace/{at}', 'wb') as file:
            file.write(bytes(1 << 20))
    """
    result = await run_tool(body, limits={"memory_mib": 48, "workspace_mib": 256}, workspace_use="write")
    assert result.status in ("out_of_memory", "killed", "error", "timeout")
    assert result.workspace.files == {}


async def test_nothing_of_one_call_reaches_the_next(run_tool):
    body = """
    kept = []
    for folder in ('/tmp', '/workspace', '/artifacts', '/dev/shm', '/opt/interlock', '/var/tmp'):
        path = os.path.join(folder, 'left')
        if os.path.exists(path):
            kept.append(path)
        try:
            open(path, 'w').write('mine')
        except OSError:
            pass
    return kept
    """
    await facts_of(run_tool, body)
    assert await facts_of(run_tool, body) == []


async def test_system_is_not_writable(run_tool):
    body = """
    written = []
    for folder, folders, files in os.walk('/'):
        if folder.startswith(('/proc', '/sys', '/tmp', '/workspace', '/artifacts', '/dev')):
            folders.clear()
            continue
        if os.access(folder, os.W_OK):
            written.append(folder)
    return written
    """
    assert await facts_of(run_tool, body) == []


async def test_no_file_changes_the_user(run_tool):
    body = """
    import stat
    found = []
    for folder, folders, files in os.walk('/'):
        if folder.startswith(('/proc', '/sys')):
            folders.clear()
            continue
        for name in files:
            mode = os.lstat(os.path.join(folder, name)).st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                found.append(os.path.join(folder, name))
    return found
    """
    assert await facts_of(run_tool, body) == []


async def test_older_system_call_tables_are_closed(run_tool):
    body = """
    import ctypes, platform
    if platform.machine() != 'x86_64':
        return ['other machine']
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(0x40000000 | 39)
    return [os.strerror(ctypes.get_errno())]
    """
    assert (await facts_of(run_tool, body))[0] in ("Function not implemented", "other machine")


async def test_spoiled_result_pipe_is_no_success(run_tool):
    body = """
    os.write(3, b'v{"forged": tru')
    os._exit(0)
    """
    result = await run_tool(body)
    assert (result.status, result.value) == ("error", None)
