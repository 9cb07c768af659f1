"""Tries to leave the sandbox, from where a tool stands, and tells what happened. `doctor` runs it as a tool."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import time
from collections.abc import Callable

from interlock import tool

_NEW_USER = 0x10000000
_CALLS: dict[str, tuple[tuple[int | None, int | None], tuple[int, ...]]] = {
    "io_uring": ((425, 425), (1, 0)),
    "bpf": ((321, 280), (0, 0, 0)),
    "perf_event_open": ((298, 241), (0, 0, 0, 0, 0)),
    "userfaultfd": ((323, 282), (0,)),
    "ptrace": ((101, 117), (0, 0, 0, 0)),
    "process_vm_readv": ((310, 270), (1, 0, 0, 0, 0, 0)),
    "pidfd_getfd": ((438, 438), (0, 0, 0)),
    "keyctl": ((250, 219), (0, 0, 0, 0, 0)),
    "add_key": ((248, 217), (0, 0, 0, 0, 0)),
    "request_key": ((249, 218), (0, 0, 0, 0)),
    "unshare": ((272, 97), (_NEW_USER,)),
    "setns": ((308, 268), (0, 0)),
    "clone_newuser": ((56, 220), (_NEW_USER | signal.SIGCHLD, 0, 0, 0, 0)),
    "mount": ((165, 40), (0, 0, 0, 0, 0)),
    "pivot_root": ((155, 41), (0, 0)),
    "open_by_handle_at": ((304, 265), (0, 0, 0)),
    "init_module": ((175, 105), (0, 0, 0)),
    "kexec_load": ((246, 104), (0, 0, 0, 0)),
    "settimeofday": ((164, 170), (0, 0)),
    "syslog": ((103, 116), (3, 0, 0)),
}
"""Numbers on x86_64 and aarch64, and arguments that would do no harm."""
_MACHINES = ("x86_64", "aarch64")


def _system_call(number: int, arguments: tuple[int, ...]) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.getpid()
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(argument) for argument in arguments))
    if os.getpid() != before:
        # A child that should not be: it must not go on as a second probe.
        os._exit(0)
    return os.strerror(ctypes.get_errno()) if result < 0 else "allowed"


def _attempt(action: Callable[[], object]) -> str:
    try:
        action()
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return "allowed"


def _socket(family: int, kind: int) -> Callable[[], None]:
    return lambda: socket.socket(family, kind).close()


def _connect(*address: str | int) -> Callable[[], None]:
    return lambda: socket.create_connection(address, 2).close()  # type: ignore[arg-type]


def _open(path: str, mode: str) -> Callable[[], None]:
    return lambda: open(path, mode).close()


def _write_cgroup() -> None:
    """A group that can be written lets a tool lift its own limits."""
    refusal = OSError("no control groups are visible")
    for folder, _, _ in os.walk("/sys/fs/cgroup"):
        try:
            os.mkdir(os.path.join(folder, "probe"))
        except OSError as error:
            refusal = error
        else:
            return
    raise refusal


def _read_memory() -> None:
    """Whether the machine's memory can be read where an engine should have covered it."""
    with open("/proc/kcore", "rb") as file:
        if not file.read(1):
            raise OSError("there is nothing to read")


def _run_from_tmp() -> None:
    with open("/tmp/probe.sh", "w", encoding="ascii") as file:  # noqa: S108
        file.write("#!/bin/sh\n")
    os.chmod("/tmp/probe.sh", 0o700)  # noqa: S108
    if os.fork() == 0:
        try:
            os.execv("/tmp/probe.sh", ["probe"])  # noqa: S108, S606
        except OSError as error:
            os._exit(error.errno or 1)
    code = os.waitstatus_to_exitcode(os.wait()[1])
    if code:
        raise OSError(code, os.strerror(code))


def _raise_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard + 1, hard + 1))


def _set_clock() -> None:
    time.clock_settime(time.CLOCK_REALTIME, time.time())


def _attempts() -> dict[str, Callable[[], object]]:
    return {
        "socket AF_VSOCK": _socket(40, socket.SOCK_STREAM),
        "socket AF_ALG": _socket(38, socket.SOCK_SEQPACKET),
        "socket AF_PACKET": _socket(17, socket.SOCK_RAW),
        "socket AF_NETLINK": _socket(16, socket.SOCK_RAW),
        "raw socket": _socket(socket.AF_INET, socket.SOCK_RAW),
        "connect out": _connect("192.0.2.1", 80),
        "connect to the metadata address": _connect("169.254.169.254", 80),
        "resolve a name": lambda: socket.getaddrinfo("example.org", 80),
        "open the engine's socket": _open("/var/run/docker.sock", "rb"),
        "write the root": _open("/probe", "w"),
        "write the runner": _open("/opt/interlock/__main__.py", "a"),
        "write /proc/sys": _open("/proc/sys/kernel/core_pattern", "w"),
        "write /proc/sysrq-trigger": _open("/proc/sysrq-trigger", "w"),
        "write /sys": _open("/sys/kernel/uevent_helper", "w"),
        "write a control group": _write_cgroup,
        "read the machine's memory": _read_memory,
        "read /dev/mem": _open("/dev/mem", "rb"),
        "open /dev/kvm": _open("/dev/kvm", "rb"),
        "run from /tmp": _run_from_tmp,
        "runner's descriptors": lambda: os.listdir("/proc/1/fd"),
        "runner's memory": _open("/proc/1/mem", "rb"),
        "runner's environment": _open("/proc/1/environ", "rb"),
        "make a device": lambda: os.mknod("/workspace/probe", 0o020666, os.makedev(1, 3)),
        "become root": lambda: os.setuid(0),
        "join a group": lambda: os.setgroups([0]),
        "raise a limit": _raise_limit,
        "set the clock": _set_clock,
        "set the host's name": lambda: socket.sethostname("probe"),
    }


@tool(action="read")
def probe() -> dict[str, dict[str, str]]:
    """Every attempt and what came of it: `allowed`, or the error. And the environment."""
    machine = os.uname().machine
    column = _MACHINES.index(machine) if machine in _MACHINES else None
    calls = {}
    for name, (numbers, arguments) in _CALLS.items():
        number = None if column is None else numbers[column]
        if number is not None:
            calls[name] = _system_call(number, arguments)
    attempts = {name: _attempt(action) for name, action in _attempts().items()}
    return {"calls": calls, "attempts": attempts, "environment": dict(os.environ)}
