"""Who started a container, written so that another process can tell whether that one still lives."""

from __future__ import annotations

import os
from pathlib import Path


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def _started(pid: int) -> str | None:
    """The start time of a process in clock ticks; None if it is gone or only waits to be collected."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _namespace() -> str:
    return os.readlink("/proc/self/ns/pid")


def own_id() -> str:
    """Names this process: boot, process namespace, number and start time."""
    pid = os.getpid()
    return "|".join((_boot(), _namespace(), str(pid), _started(pid) or ""))


def is_dead(owner: str) -> bool:
    """Whether the owner surely runs no more. False if that cannot be seen from here (other host or container)."""
    parts = owner.split("|")
    if len(parts) != 4 or not parts[2].isdigit():
        return False
    boot, namespace, pid, started = parts
    if (boot, namespace) != (_boot(), _namespace()):
        return False
    return _started(int(pid)) != started
