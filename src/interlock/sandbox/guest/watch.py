"""Follows a child to its end: its output, its result, its deadline, the limits it hits."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from . import child, limits
from .capture import Capture
from .processes import end_all, reap

_CHUNK = 64 * 1024


class HostGone(Exception):
    """The host closed the connection, or spoke out of turn: nobody waits for this call."""


class Outcome(NamedTuple):
    """How a child ended."""

    status: str
    value: bytes = b""
    error: str = ""
    limit: str = ""


class Watch:
    """Watches one child."""

    def __init__(
        self, one: child.Child, capture: Capture, emit: Callable[[str, bytes], None], *, max_value: int
    ) -> None:
        self._child = one
        self._capture = capture
        self._emit = emit
        self._max_value = max_value
        self._result = bytearray()
        self._open = {one.stdout: "stdout", one.stderr: "stderr", one.result: "result"}
        self._before = limits.oom_kills(), limits.pids_refused()

    def follow(self, host: int, wake: int, time_s: float) -> Outcome:
        """Watch until the child ends or a limit fires. When this returns, no process but the runner is left.

        Raises:
            HostGone: the host is no longer there.
        """
        deadline = time.monotonic() + time_s
        status: int | None = None
        while status is None and not self._over and time.monotonic() < deadline:
            self._wait(host, wake, deadline)
            status = reap(self._child.pid)
        late = status is None and not self._over
        killed = end_all(self._child.pid)
        self._drain()
        return self._judge(killed if status is None else status, late)

    @property
    def _over(self) -> bool:
        return self._capture.flooded or len(self._result) > self._max_value

    def _wait(self, host: int, wake: int, deadline: float) -> None:
        with selectors.PollSelector() as selector:
            for number in (host, wake, *self._open):
                selector.register(number, selectors.EVENT_READ)
            ready = [key.fd for key, _ in selector.select(min(1.0, max(0.0, deadline - time.monotonic())))]
        if host in ready:
            end_all()
            raise HostGone
        if wake in ready:
            _chunk(wake)
        for number in [number for number in ready if number in self._open]:
            self._take(number)

    def _take(self, number: int) -> bool:
        """Take a chunk; whether there may be more."""
        chunk = _chunk(number)
        if not chunk:
            if chunk is not None:
                os.close(number)
                del self._open[number]
            return False
        stream = self._open[number]
        if stream == "result":
            self._result += chunk
        elif head := self._capture.feed(stream, chunk):
            self._emit(stream, head)
        return True

    def _drain(self) -> None:
        """Take what the dead left in the pipes."""
        for number in list(self._open):
            while not self._over and self._take(number):
                pass
            if number in self._open:
                os.close(number)

    def _judge(self, status: int | None, late: bool) -> Outcome:
        oom, pids = limits.oom_kills() > self._before[0], limits.pids_refused() > self._before[1]
        also = "memory" if oom else "pids" if pids else ""
        if self._capture.flooded:
            return Outcome(
                "output_limit", error=f"stopped after printing {self._capture.total} bytes", limit="output"
            )
        if len(self._result) > self._max_value:
            reason = f"returned more than {self._max_value} bytes; write large results to files or artifacts"
            return Outcome("output_limit", error=reason, limit="output")
        if late:
            return Outcome("timeout", error="still running at the deadline", limit="time")
        code = os.waitstatus_to_exitcode(status or 0)
        if code == -signal.SIGKILL and oom:
            return Outcome("out_of_memory", error="killed by the kernel: out of memory", limit="memory")
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            return Outcome("killed", error=f"the tool's process died by signal {name}", limit=also)
        return self._reported(code, also)

    def _reported(self, code: int, also: str) -> Outcome:
        kind, report = bytes(self._result[:1]), bytes(self._result[1:])
        if code or kind not in (child.OK, child.ERROR):
            reason = f"the tool ended its process with exit code {code} instead of returning"
            return Outcome("error", error=reason, limit=also)
        if kind == child.ERROR:
            return Outcome("error", error=report.decode("utf-8", "replace"), limit=also)
        return Outcome("ok", value=report)


def _chunk(number: int) -> bytes | None:
    """What can be read now; None if nothing, empty at the end."""
    try:
        return os.read(number, _CHUNK)
    except BlockingIOError:
        return None
