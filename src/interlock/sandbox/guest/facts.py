"""What the runner sees of its own cage, told to the host before any tool is sent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import stat
import sys
import time
from typing import Any, NoReturn

from . import confine

_STATUS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters", "Groups")
_PR_GET_NO_NEW_PRIVS = 39
_GVISOR = "Sun Jan 10 15:06:54 PST 2016"
"""When the kernel that gVisor gives itself out for was built; no other names this date."""
HIDDEN = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
"""Paths that tell of the machine, or are its memory: an engine covers them."""
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/sys")
"""Paths that steer the machine."""
_LAYERS = ("lowerdir=", "upperdir=", "workdir=")
"""Where the layers of the root lie on the host: nobody's business inside."""
_RLIMITS = {
    "open files": resource.RLIMIT_NOFILE,
    "core": resource.RLIMIT_CORE,
    "file size": resource.RLIMIT_FSIZE,
}
_LIMITS = {
    "memory": ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    "swap": ("/sys/fs/cgroup/memory.swap.max", "/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes"),
    "swappiness": ("/sys/fs/cgroup/memory/memory.swappiness",),
    "pids": ("/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"),
    "cpu": ("/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
    "cpu_period": ("/sys/fs/cgroup/cpu/cpu.cfs_period_us",),
}


def _read(*paths: str) -> str:
    """The first of these files that there is; empty: none."""
    for path in paths:
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                return " ".join(file.read(4096).split())
        except OSError:
            continue
    return ""


def _status() -> dict[str, str]:
    with open("/proc/self/status", encoding="ascii") as file:
        rows = dict(line.rstrip("\n").split(":", 1) for line in file)
    found = {name: rows[name].strip() for name in _STATUS if name in rows}
    # Asked for directly: gVisor's status does not tell it.
    found["NoNewPrivs"] = str(ctypes.CDLL(None).prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0))
    return found


def _mounts() -> dict[str, list[str]]:
    """Kind and options of every mount; the last mount on a path is the one in force."""
    found: dict[str, list[str]] = {}
    with open("/proc/self/mounts", encoding="ascii", errors="replace") as file:
        for line in file:
            _, path, kind, options, *_ = line.split(" ")
            found[path] = [kind, *(o for o in options.split(",") if not o.startswith(_LAYERS))]
    return found


def _hidden(path: str) -> str:
    """`absent`, `covered` by an empty device or folder, or `open`."""
    try:
        mode = os.stat(path).st_mode
        covered = stat.S_ISCHR(mode) or (stat.S_ISDIR(mode) and not os.listdir(path))
    except FileNotFoundError:
        return "absent"
    except OSError:
        # Not even its owner is told: whoever may not look may not read.
        return "refused"
    return "covered" if covered else "open"


def _read_only(path: str) -> str:
    """`absent`, `ro` or `rw`, as the mount says that it lies on."""
    try:
        return "ro" if os.statvfs(path).f_flag & os.ST_RDONLY else "rw"
    except OSError:
        return "absent"


def _writable_groups() -> list[str]:
    """Folders of control groups that this user may write: there a tool could lift its own limits."""
    return [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if os.access(folder, os.W_OK)]


def _secret() -> bool:
    """Whether a process that this one starts, as it will start tools, can not open this one's connection.

    A tool that could would write to the host in the runner's name.
    """
    pid = os.fork()
    if pid == 0:
        _spy(f"/proc/{os.getppid()}/fd")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _spy(folder: str) -> NoReturn:
    """Look as a tool would; end with 0 if there was nothing to see."""
    try:
        confine.dumpable(True)
        names = os.listdir(folder)
    except OSError:
        os._exit(0)
    for name in names:
        with contextlib.suppress(OSError):
            os.open(os.path.join(folder, name), os.O_WRONLY | os.O_NONBLOCK)
            os._exit(1)
    os._exit(0)


def facts() -> dict[str, Any]:
    """Identity, privileges, mounts, limits, network, environment and clock as the kernel tells them."""
    return {
        "pid": os.getpid(),
        "ids": [*os.getresuid(), *os.getresgid()],
        "uid_map": _read("/proc/self/uid_map"),
        "status": _status(),
        "secret": _secret(),
        "gvisor": _GVISOR in _read("/proc/version"),
        "mounts": _mounts(),
        "hidden": {path: _hidden(path) for path in HIDDEN},
        "read_only": {path: _read_only(path) for path in READ_ONLY},
        "writable_groups": _writable_groups(),
        "limits": {name: _read(*paths) for name, paths in _LIMITS.items()},
        "rlimits": {name: list(resource.getrlimit(number)) for name, number in _RLIMITS.items()},
        "devices": sorted(os.listdir("/dev")),
        "interfaces": sorted(os.listdir("/sys/class/net")),
        "environment": sorted(os.environ),
        "clock": int(time.time()),
        "machine": os.uname().machine,
        "kernel": os.uname().release,
        "python": ".".join(map(str, sys.version_info[:3])),
    }
