"""Follows a child to its end: its output, its result, its deadline, the limits it hits."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from . import child, frames, limits
from .capture import Capture
from .host import Host, HostGone
from .processes import end_all, reap

_CHUNK = 64 * 1024
_LONGEST_WAIT_S = 1.0


class Outcome(NamedTuple):
    """How a child ended."""

    status: str
    value: bytes = b""
    error: str = ""
    limit: str = ""


class Watch:
    """Watches one child."""

    def __init__(
        self,
        one: child.Child,
        capture: Capture,
        emit: Callable[[str, bytes], None],
        *,
        max_value: int,
        sample: Callable[[], None] = lambda: None,
    ) -> None:
        self._child = one
        self._capture = capture
        self._emit = emit
        self._max_value = max_value
        self._sample = sample
        self._result = bytearray()
        self._open = {one.stdout: "stdout", one.stderr: "stderr", one.result: "result"}
        self._before = limits.oom_kills(), limits.pids_refused()

    def follow(
        self, host: Host, wake: int, time_s: float, heard: Callable[[frames.Frame], None] | None = None
    ) -> Outcome:
        """Watch until the child ends or a limit fires. When this returns, no process but the runner is left.

        Args:
            host: has patience while the call runs, not for ever.
            wake: readable when a process has ended.
            time_s: seconds until the child is ended.
            heard: takes a frame of the host that is no sign of life; without it, any such frame is out of turn.

        Raises:
            HostGone: nobody waits for the call; no process but the runner is left then either.
        """
        try:
            return self._follow(host, wake, time_s, heard)
        except HostGone:
            end_all()
            raise

    def _follow(
        self, host: Host, wake: int, time_s: float, heard: Callable[[frames.Frame], None] | None
    ) -> Outcome:
        deadline = time.monotonic() + time_s
        status: int | None = None
        while status is None and not self._over and time.monotonic() < deadline:
            if self._wait(host.input, wake, min(deadline - time.monotonic(), host.patience_left)):
                self._listen(host, heard)
            elif host.patience_left <= 0:
                raise HostGone("silent")
            self._sample()
            status = reap(self._child.pid)
        late = status is None and not self._over
        killed = end_all(self._child.pid)
        self._drain()
        return self._judge(killed if status is None else status, late)

    @property
    def _over(self) -> bool:
        return self._capture.flooded or len(self._result) > self._max_value

    def _listen(self, host: Host, heard: Callable[[frames.Frame], None] | None) -> None:
        frame = host.listen()
        if frame is not None and heard is None:
            raise HostGone(f"{frame.head['kind']!r} out of turn")
        if frame is not None and heard is not None:
            heard(frame)

    def _wait(self, host: int, wake: int, longest_s: float) -> bool:
        """Wait for something to happen, and take output; whether the host has spoken."""
        with selectors.PollSelector() as selector:
            for number in (host, wake, *self._open):
                selector.register(number, selectors.EVENT_READ)
            ready = [key.fd for key, _ in selector.select(min(_LONGEST_WAIT_S, max(0.0, longest_s)))]
        if wake in ready:
            _chunk(wake)
        for number in [number for number in ready if number in self._open]:
            self._take(number)
        return host in ready

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
