"""What a call used, as the kernel counts it for the container's control group."""

from __future__ import annotations

_CPU_V2 = "/sys/fs/cgroup/cpu.stat"
_CPU_V1 = "/sys/fs/cgroup/cpuacct/cpuacct.usage"
_PEAK = ("/sys/fs/cgroup/memory.peak", "/sys/fs/cgroup/memory/memory.max_usage_in_bytes")
_NOW = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")


def _number(*paths: str) -> int:
    """What the first of these files that can be read holds; 0 where there is none."""
    for path in paths:
        try:
            with open(path, encoding="ascii") as file:
                return int(file.read())
        except (OSError, ValueError):
            continue
    return 0


def memory_kib() -> int:
    """Memory in use now, files in memory included."""
    return _number(*_NOW) // 1024


def cpu_us() -> int:
    """CPU time of the container so far, microseconds."""
    try:
        with open(_CPU_V2, encoding="ascii") as file:
            return int(dict(line.split() for line in file)["usage_usec"])
    except (OSError, ValueError, KeyError):
        return _number(_CPU_V1) // 1000


class Meter:
    """Counts from here on.

    The kernel's peak is that of the container's whole life and cannot be put back from inside, where its file is
    read-only. Where it rose during this call it is the call's own; where an earlier call of the same container had
    reached higher, the highest sample is taken: one a wake-up of the runner, at least one a second.
    """

    def __init__(self) -> None:
        self._cpu = cpu_us()
        self._peak = _number(*_PEAK)
        self._highest = 0
        self._final: dict[str, int] = {}

    def sample(self) -> None:
        """Look at the memory in use now."""
        self._highest = max(self._highest, memory_kib())

    def read(self) -> dict[str, int]:
        """The call's figures; the same however often they are asked for."""
        if not self._final:
            self.sample()
            peak = _number(*_PEAK)
            memory = peak // 1024 if peak > self._peak else self._highest
            cpu = (cpu_us() - self._cpu) // 1000
            self._final = {"cpu_ms": cpu, "memory_kib": memory, "left_kib": memory_kib()}
        return self._final
