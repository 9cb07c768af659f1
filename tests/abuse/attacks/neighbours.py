"""Leaves something for a later call, and looks for what another call left or has."""

import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from interlock import tool

MARK = "left-by-another-call"
SYSTEM = (
    "/usr/bin/python3",
    "/usr/lib/python3/dist-packages/sitecustomize.py",
    "/usr/lib/python3.11/sitecustomize.py",
    "/usr/lib/python3.11/json/__init__.py",
    "/usr/lib/python3.11/__pycache__/os.cpython-311.pyc",
    "/etc/python3.11/sitecustomize.py",
    "/etc/ld.so.preload",
    "/etc/passwd",
    "/etc/profile",
    "/bin/sh",
)
OURS = (
    "/opt/interlock/__main__.py",
    "/opt/interlock/interlock.py",
    "/opt/interlock/guest/runner.py",
    "/opt/interlock/guest/child.py",
    "/opt/interlock/guest/__pycache__/child.cpython-311.pyc",
    "/opt/interlock/sitecustomize.py",
)
PLANTED = (
    "/tmp/.local/lib/python3.11/site-packages/usercustomize.py",
    "/tmp/.local/lib/python3.11/site-packages/evil.pth",
    "/tmp/json.py",
    "/tmp/.gitconfig",
    "/tmp/.bashrc",
    "/tmp/.config/pip/pip.conf",
    "/workspace/json.py",
    "/workspace/interlock.py",
    "/workspace/sitecustomize.py",
    "/workspace/.git/hooks/pre-commit",
    "/artifacts/left",
    "/dev/shm/left",
    "/dev/shm/sem.left",
)
FOLDERS = ("/tmp", "/dev/shm", "/workspace", "/artifacts")
libc = ctypes.CDLL(None, use_errno=True)


def refusal(action: Callable[[], object]) -> str:
    """What came of an attempt."""
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "allowed"


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


@tool(action="execute")
def rewrite() -> dict[str, str]:
    """Write to the interpreter, its library, the runner and the authoring module."""
    return {path: refusal(lambda p=path: _write(p, "raise SystemExit(0)")) for path in (*SYSTEM, *OURS)}


@tool(action="execute")
def plant() -> int:
    """Leave in every place that can be written, and in every object of the kernel."""
    evil = "import sys; sys.modules['planted'] = sys\n"
    for path in PLANTED:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _write(path, evil)
    os.mkdir("/tmp/shut")
    os.chmod("/tmp/shut", 0)
    os.symlink("/etc", "/tmp/link")
    os.mkfifo("/tmp/pipe")
    libc.shmget(0x1234, 4096, 0o1666)
    libc.semget(0x1234, 1, 0o1666)
    libc.msgget(0x1234, 0o1666)
    refusal(lambda: os.close(os.open("/dev/mqueue/left", os.O_CREAT | os.O_WRONLY, 0o666)))
    os.environ.update(
        {"PYTHONSTARTUP": "/tmp/json.py", "LD_PRELOAD": "/tmp/evil.so", "PYTHONPATH": "/tmp", "LEFT": MARK}
    )
    os.umask(0o777)
    refusal(lambda: os.nice(5))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("\0" + MARK)
    listener.listen()
    for _ in range(2):
        if os.fork() == 0:
            os.setsid()
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            time.sleep(600)
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    sys.modules["json"].loads = None  # type: ignore[attr-defined]
    return 1


@tool(action="execute")
def look() -> dict[str, str]:
    """What is there that another call may have left."""
    import json

    files = [
        os.path.join(folder, name)
        for top in ("/tmp", "/workspace", "/artifacts", "/dev/shm", "/dev/mqueue", "/var/tmp", "/run")
        for folder, folders, names in os.walk(top)
        for name in (*folders, *names)
        if not os.access(os.path.join(folder, name), os.W_OK) or not folder.startswith(("/run", "/var"))
    ]
    objects = []
    for kind in ("shm", "sem", "msg"):
        with open(f"/proc/sysvipc/{kind}", encoding="ascii") as file:
            objects += [kind for _ in file.read().splitlines()[1:]]
    started = subprocess.run(
        [sys.executable, "-c", "import sys, json; print('planted' in sys.modules, json.__file__)"],
        capture_output=True,
        text=True,
        cwd="/workspace",
        check=False,
    )
    with open("/proc/net/unix", encoding="ascii", errors="replace") as file:
        sockets = [line.split()[-1] for line in file.read().splitlines()[1:] if "@" in line]
    umask = os.umask(0o022)
    return {
        "files": " ".join(path for path in files if not path.startswith("/run")),
        "objects": " ".join(objects),
        "processes": " ".join(sorted((name for name in os.listdir("/proc") if name.isdigit()), key=int)[:1]),
        "count": str(sum(name.isdigit() for name in os.listdir("/proc"))),
        "library": str(json.loads is not None and "/usr/" in json.__file__),
        "interpreter": started.stdout.split()[0] if started.stdout else started.stderr[-300:],
        "library of a program": started.stdout.split()[-1] if started.stdout else "",
        "sockets": " ".join(sockets),
        "environment": " ".join(sorted(os.environ)),
        "umask": oct(umask),
        "nice": str(os.nice(0)),
    }


@tool(action="execute")
def keep(secret: str) -> int:
    """Hold a secret in memory, environment, files and a file's name."""
    os.environ["SECRET"] = secret
    for folder in FOLDERS:
        _write(f"{folder}/{secret}", secret)
    return len([secret + str(at) for at in range(1000)])


@tool(action="execute")
def search(reversed_secret: str) -> list[str]:
    """Look for a secret of another call: in files, in one's own memory, in whatever /proc shows."""
    wanted = reversed_secret[::-1].encode()
    found = []
    for top in (*FOLDERS, "/run", "/var", "/opt", "/etc"):
        for folder, folders, names in os.walk(top):
            for name in (*folders, *names):
                path = os.path.join(folder, name)
                if wanted in path.encode() or (os.path.isfile(path) and _holds(path, wanted)):
                    found.append(path)
    for process in (name for name in os.listdir("/proc") if name.isdigit()):
        found += [
            f"/proc/{process}/{name}"
            for name in ("environ", "cmdline", "status")
            if _holds(f"/proc/{process}/{name}", wanted)
        ]
    return found


def _holds(path: str, wanted: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return wanted in file.read(1 << 20)
    except OSError:
        return False


@tool(action="execute")
def beside(mine: str, theirs: str, seconds: int) -> dict[str, str]:
    """Run beside another call: leave one's mark everywhere, print what is found of the other."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("\0" + mine)
    listener.listen()
    local = socket.create_server(("127.0.0.1", 4747))
    local.setblocking(False)
    for folder in FOLDERS:
        _write(f"{folder}/{mine}", mine)
    segment = libc.shmget(_key(mine), 4096, 0o1666)
    own = subprocess.Popen(["sleep", "60"], env={"MARK": mine})
    print("up", flush=True)
    found: set[str] = set()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        new = set(_marks_of(theirs)) - found
        if refusal(local.accept) != "EAGAIN":
            new.add("a connection")
        if new:
            print(*sorted(new), flush=True)
        found |= new
        time.sleep(0.02)
    processes = sum(name.isdigit() for name in os.listdir("/proc"))
    own.kill()
    return {"found": " ".join(sorted(found)), "segment": str(segment >= 0), "processes": str(processes)}


def _key(mark: str) -> int:
    return int.from_bytes(mark.encode()[-4:], "big") & 0x7FFFFFFF


def _marks_of(other: str) -> list[str]:
    found = [path for path in (f"{folder}/{other}" for folder in FOLDERS) if os.path.exists(path)]
    if refusal(lambda: socket.socket(socket.AF_UNIX).connect("\0" + other)) == "allowed":
        found.append("abstract-socket")
    if libc.shmget(_key(other), 4096, 0o666) >= 0:
        found.append("shared-memory")
    processes = (name for name in os.listdir("/proc") if name.isdigit())
    return found + [f"process-{name}" for name in processes if _holds(f"/proc/{name}/environ", other.encode())]


@tool(action="execute")
def told() -> dict[str, str]:
    """Everything that a tool is told without asking: environment, host name, arguments, users, folders."""
    with open("/proc/1/cmdline", "rb") as file:
        command = file.read().replace(b"\0", b" ").decode()
    found = {f"environment {name}": value for name, value in os.environ.items()}
    found["host name"] = socket.gethostname()
    found["command"] = command
    found["arguments"] = " ".join(sys.argv[1:])
    found["user"] = f"{os.getuid()} {os.getgid()} {os.getgroups()}"
    found["home"] = " ".join(os.listdir("/home")) if os.path.isdir("/home") else ""
    return found
