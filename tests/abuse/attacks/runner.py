"""Turns on the runner, first process and of the same user, and from a child on the tool's own process."""

import ctypes
import errno
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable

from interlock import tool

NATIVE = os.uname().machine == "x86_64"
libc = ctypes.CDLL(None, use_errno=True)


def refusal(action: Callable[[], object]) -> str:
    """What came of an attempt."""
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "allowed"


def ask(number: int, *arguments: object) -> str:
    """What the kernel answers to a system call."""
    values = (ctypes.c_long(value) if isinstance(value, int) else value for value in (number, *arguments))
    done = libc.syscall(*values)
    return "allowed" if done >= 0 else errno.errorcode[ctypes.get_errno()]


@tool(action="execute")
def signals() -> int:
    """Every signal to the runner, each in four ways; then to everything that there is."""
    pidfd = os.pidfd_open(1)
    for number in range(1, 65):
        for send in (
            lambda n: os.kill(1, n),
            lambda n: signal.pidfd_send_signal(pidfd, n),
            lambda n: ask(234 if NATIVE else 131, 1, 1, n),
            lambda n: os.killpg(os.getpgid(1), n),
        ):
            refusal(lambda n=number, s=send: s(n))
    refusal(lambda: os.kill(-1, signal.SIGCONT))
    return len(os.listdir("/proc/self/fd"))


@tool(action="execute")
def stop_all() -> str:
    """Stop every process, oneself too: only a runner that went on can tell."""
    refusal(lambda: os.kill(-1, signal.SIGSTOP))
    refusal(lambda: os.kill(1, signal.SIGSTOP))
    os.kill(os.getpid(), signal.SIGSTOP)
    return "went on"


@tool(action="execute")
def proc_files() -> dict[str, str]:
    """Open what the kernel shows of the runner."""
    found = {}
    for name in (
        "fd",
        "fd/0",
        "fd/1",
        "fd/10",
        "fd/11",
        "fdinfo",
        "mem",
        "environ",
        "maps",
        "cwd",
        "root",
        "exe",
        "ns/net",
        "task/1/mem",
        "map_files",
        "auxv",
        "syscall",
        "stack",
        "io",
        "personality",
        "timers",
    ):
        path = f"/proc/1/{name}"
        found[name] = refusal(lambda p=path: os.close(os.open(p, os.O_RDONLY)))
    for name in (
        "mem",
        "comm",
        "oom_score_adj",
        "clear_refs",
        "coredump_filter",
        "timerslack_ns",
        "autogroup",
        "attr/current",
    ):
        path = f"/proc/1/{name}"
        found[f"write {name}"] = refusal(lambda p=path: os.write(os.open(p, os.O_WRONLY), b"1"))
    found["link of root"] = refusal(lambda: os.readlink("/proc/1/root"))
    return found


@tool(action="execute")
def controls() -> dict[str, str]:
    """Slow the runner down or take its limits away."""
    param = ctypes.create_string_buffer(64)
    attr = ctypes.create_string_buffer(struct.pack("=IIQiIQQQ", 48, 5, 0, 0, 0, 0, 0, 0), 56)
    mask = ctypes.create_string_buffer(b"\x01", 128)
    found = {
        "limits": refusal(lambda: resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))),
        "priority": ask(141 if NATIVE else 140, 0, 1, 19),
        "priority of the user": ask(141 if NATIVE else 140, 2, os.getuid(), 19),
        "priority of the group": ask(141 if NATIVE else 140, 1, os.getpgid(1), 19),
        "scheduler": ask(144 if NATIVE else 119, 1, 5, param),
        "scheduler by attributes": ask(314 if NATIVE else 274, 1, attr, 0),
        "scheduler parameters": ask(142 if NATIVE else 118, 1, param),
        "processor": ask(203 if NATIVE else 122, 1, 128, mask),
        "disk priority": ask(251 if NATIVE else 30, 1, 1, 3 << 13),
        "process group": refusal(lambda: os.setpgid(1, os.getpid())),
        "descriptor": ask(438, os.pidfd_open(1), 10, 0),
        "advice on memory": ask(440, os.pidfd_open(1), 0, 0, 4, 0),
        "robust list": ask(
            274 if NATIVE else 100, 1, ctypes.create_string_buffer(8), ctypes.create_string_buffer(8)
        ),
        "read memory": ask(310 if NATIVE else 270, 1, 0, 0, 0, 0, 0),
        "write memory": ask(311 if NATIVE else 271, 1, 0, 0, 0, 0, 0),
    }
    found["nice now"] = str(os.getpriority(os.PRIO_PROCESS, 1))
    found["own nice"] = str(os.nice(1))
    return found


def _frame(kind: str, call: str, body: bytes = b"", **fields: object) -> bytes:
    head = json.dumps({"kind": kind, "call": call, "more": False, **fields}).encode()
    return struct.pack(">II", len(head), len(body)) + head + body


@tool(action="execute")
def forge(call: str) -> int:
    """Write a whole good end to everything that can be opened, then fail."""
    end = {"status": "ok", "error": "", "limit": "", "notes": [], "dropped": {}}
    said = _frame("finished", call) + _frame("value", call, b"1") + _frame("end", call, **end)
    # 3 is the pipe of the tool's own result.
    numbers = set(range(1024)) - {3}
    for number in numbers:
        refusal(lambda n=number: os.write(n, said))
    for process in ("self", "1", "thread-self"):
        for number in numbers:
            path = f"/proc/{process}/fd/{number}"
            refusal(lambda p=path: os.write(os.open(p, os.O_WRONLY | os.O_NONBLOCK), said))
    for path in ("/dev/stdout", "/dev/stderr", "/dev/fd/1", "/dev/console", "/dev/tty", "/dev/pts/0"):
        refusal(lambda p=path: os.write(os.open(p, os.O_WRONLY | os.O_NONBLOCK), said))
    raise ValueError("the real end")


@tool(action="execute")
def leave(report: str) -> int:
    """End the process oneself, with a report of one's own on the result pipe."""
    os.write(3, report.encode())
    os._exit(0)


@tool(action="execute")
def leave_with(code: int) -> int:
    """End with a code, a good report written."""
    os.write(3, b"v1")
    os._exit(code)


@tool(action="execute")
def outlive() -> int:
    """A child reports success after the tool's process has failed."""
    if os.fork() == 0:
        os.setsid()
        time.sleep(0.3)
        os.write(3, b"v1")
        os._exit(0)
    os._exit(1)


@tool(action="execute")
def sibling() -> int:
    """Make the runner the parent of a process that reports success, then fail."""
    parent = 0x8000
    made = libc.syscall(*(ctypes.c_long(v) for v in (56 if NATIVE else 220, parent | signal.SIGCHLD, 0, 0, 0, 0)))
    if made == 0:
        time.sleep(0.2)
        os._exit(0)
    os._exit(7)


CHILD = r"""
import errno, os, sys
tool, found = int(sys.argv[1]), {}
def attempt(name, action):
    try:
        action()
        found[name] = "allowed"
    except OSError as error:
        found[name] = errno.errorcode[error.errno]
attempt("result pipe", lambda: os.write(os.open(f"/proc/{tool}/fd/3", os.O_WRONLY), b'v{"tests": "all passed"}'))
attempt("memory", lambda: os.open(f"/proc/{tool}/mem", os.O_RDWR))
attempt("environment", lambda: os.open(f"/proc/{tool}/environ", os.O_RDONLY))
attempt("descriptors", lambda: os.listdir(f"/proc/{tool}/fd"))
attempt("own result pipe", lambda: os.write(3, b"v1"))
print(found)
"""


@tool(action="execute")
def judge() -> dict[str, str]:
    """Run somebody else's program, as a tool that runs tests does; the program tries to speak for the tool."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(os.getpid())], capture_output=True, text=True, check=False
    )
    return {"tests": "failed", "said": done.stdout.strip() + done.stderr.strip()[-300:]}


@tool(action="execute")
def interrupt() -> str:
    """A handler for every signal and none of them wanted: the deadline must still end it."""
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, lambda *_: None)
    time.time = time.monotonic = lambda: 0.0  # type: ignore[assignment]
    while True:
        signal.sigtimedwait([signal.SIGALRM], 60)


@tool(action="execute")
def flood_signals() -> int:
    """Wake the runner as often as can be: signals, and children that end."""
    end = time.monotonic() + 0.5
    count = 0
    while time.monotonic() < end:
        for number in (signal.SIGCHLD, signal.SIGALRM, signal.SIGRTMIN, signal.SIGPIPE):
            os.kill(1, number)
        count += 1
    return count
