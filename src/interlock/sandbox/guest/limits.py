"""What the kernel counted against the container's limits: killed for memory, refused a process."""

from __future__ import annotations

_OOM = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
_PIDS = ("/sys/fs/cgroup/pids.events", "/sys/fs/cgroup/pids/pids.events")


def _counter(paths: tuple[str, ...], key: str) -> int:
    """A counter of a cgroup file, version 2 path first; 0 where neither version has it."""
    for path in paths:
        try:
            with open(path, encoding="ascii") as file:
                rows = dict(line.split() for line in file)
        except (OSError, ValueError):
            continue
        return int(rows.get(key, 0))
    return 0


def oom_kills() -> int:
    """How many processes of this container the kernel has killed for memory."""
    return _counter(_OOM, "oom_kill")


def pids_refused() -> int:
    """How many times this container was refused a new process."""
    return _counter(_PIDS, "max")
