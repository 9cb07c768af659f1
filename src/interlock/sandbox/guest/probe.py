"""Tries to leave the sandbox, from where a tool stands, and tells what happened. `doctor` runs it as a tool."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable

from interlock import tool

_CALLS = {
    "io_uring": (425, 1, 0, 0, 0),
    "bpf": (321, 0, 0, 0, 0),
    "perf_event_open": (298, 0, 0, 0, 0),
    "userfaultfd": (323, 0, 0, 0, 0),
    "ptrace": (101, 0, 0, 0, 0),
    "keyctl": (250, 0, 0, 0, 0),
    "add_key": (248, 0, 0, 0, 0),
    "request_key": (249, 0, 0, 0, 0),
    "unshare": (272, 0x10000000, 0, 0, 0),
    "setns": (308, 0, 0, 0, 0),
    "mount": (165, 0, 0, 0, 0),
    "clone_newuser": (56, 0x10000011, 0, 0, 0),
    "pidfd_getfd": (438, 0, 0, 0, 0),
    "process_vm_readv": (310, 1, 0, 0, 0),
}


def _system_call(*numbers: int) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(*(ctypes.c_long(number) for number in numbers))
    if result == 0 and numbers[0] == _CALLS["clone_newuser"][0]:
        os._exit(0)
    return os.strerror(ctypes.get_errno()) if result < 0 else "allowed"


def _attempt(action: Callable[[], object]) -> str:
    try:
        action()
    except OSError as error:
        return error.strerror or str(error)
    return "allowed"


def _socket(family: int, kind: int) -> str:
    return _attempt(lambda: socket.socket(family, kind).close())


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


@tool(action="read")
def probe() -> dict[str, str]:
    """Every attempt and what came of it: `allowed`, or the error."""
    native = os.uname().machine == "x86_64"
    found = {name: _system_call(*numbers) for name, numbers in _CALLS.items()} if native else {}
    found["socket_vsock"] = _socket(40, socket.SOCK_STREAM)
    found["socket_alg"] = _socket(38, socket.SOCK_SEQPACKET)
    found["socket_packet"] = _socket(17, socket.SOCK_RAW)
    found["socket_netlink"] = _socket(16, socket.SOCK_RAW)
    found["socket_raw"] = _socket(socket.AF_INET, socket.SOCK_RAW)
    found["connect_out"] = _attempt(lambda: socket.create_connection(("192.0.2.1", 80), 2))
    found["write_root"] = _attempt(lambda: open("/probe", "w", encoding="ascii").close())
    found["write_runner"] = _attempt(lambda: open("/opt/interlock/__main__.py", "a", encoding="ascii").close())
    found["write_proc_sys"] = _attempt(lambda: open("/proc/sys/kernel/core_pattern", "w", encoding="ascii").close())
    found["write_cgroup"] = _attempt(_write_cgroup)
    found["run_from_tmp"] = _attempt(_run_from_tmp)
    found["runner_descriptors"] = _attempt(lambda: os.listdir("/proc/1/fd"))
    found["runner_memory"] = _attempt(lambda: open("/proc/1/mem", "rb").close())
    found["runner_environment"] = _attempt(lambda: open("/proc/1/environ", "rb").close())
    found["device_node"] = _attempt(lambda: os.mknod("/workspace/probe", 0o020666, os.makedev(1, 3)))
    found["become_root"] = _attempt(lambda: os.setuid(0))
    return found
