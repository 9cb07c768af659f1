"""What the runner sees of its own cage, told to the host before any tool is sent."""

from __future__ import annotations

import os
import sys
from typing import Any

_STATUS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters", "Groups")


def _status() -> dict[str, str]:
    with open("/proc/self/status", encoding="ascii") as file:
        rows = dict(line.rstrip("\n").split(":", 1) for line in file)
    return {name: rows[name].strip() for name in _STATUS if name in rows}


def _mounts() -> dict[str, list[str]]:
    """Options of the mounts that matter; the last mount on a path is the one in force."""
    found: dict[str, list[str]] = {}
    with open("/proc/self/mounts", encoding="ascii", errors="replace") as file:
        for line in file:
            _, path, kind, options, *_ = line.split(" ")
            if path in ("/", "/tmp", "/workspace", "/artifacts", "/dev/shm", "/proc", "/sys"):  # noqa: S108
                found[path] = [kind, *options.split(",")]
    return found


def facts() -> dict[str, Any]:
    """Identity, privileges, mounts, network and environment as the kernel tells them."""
    return {
        "pid": os.getpid(),
        "ids": [*os.getresuid(), *os.getresgid()],
        "status": _status(),
        "mounts": _mounts(),
        "interfaces": sorted(os.listdir("/sys/class/net")),
        "environment": sorted(os.environ),
        "machine": os.uname().machine,
        "python": ".".join(map(str, sys.version_info[:3])),
    }
