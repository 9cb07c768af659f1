"""The runner's connection to the host: frames in, frames out, and how long the host has been silent.

The host says something at least every few seconds (`ping`). Its process may die while a tool runs: then another
attaches anew and asks for the call (`resume`). If nobody does in time, the container ends.
"""

from __future__ import annotations

import fcntl
import os
import select
import time
from typing import Any

from . import frames

WAITING_S = 10.0
"""Seconds of silence after which a container ends that waits for its first call."""
SERVING_S = 30.0
"""The same once it serves a call: long enough for another executor to notice and take it over."""


class HostGone(Exception):
    """The host has been silent for too long, or spoke out of turn: nobody waits for this container."""


def _private(number: int, *, write: bool) -> int:
    """Move a descriptor out of the way, closed on exec, and put /dev/null in its place."""
    moved = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10)
    nothing = os.open("/dev/null", os.O_WRONLY if write else os.O_RDONLY)
    os.dup2(nothing, number)
    os.close(nothing)
    return moved


class Host:
    """The connection to the host."""

    def __init__(self, patience_s: float) -> None:
        self.input = _private(0, write=False)
        self._output = _private(1, write=True)
        self._ready = select.poll()
        self._ready.register(self.input, select.POLLIN)
        self._held = bytearray()
        self._heard = time.monotonic()
        self.patience_s = patience_s

    @property
    def patience_left(self) -> float:
        """Seconds until the host counts as gone; negative when it does."""
        return self._heard + self.patience_s - time.monotonic()

    def send(self, kind: str, call: str = "", body: bytes = b"", *, hold: bool = False, **fields: Any) -> None:
        """Send a frame; a longer body goes in pieces.

        Args:
            kind: what it says.
            call: which call it answers.
            body: content.
            hold: the last piece goes with the next frame, so that the host is woken once.
            fields: the rest of the head.
        """
        for piece, more in frames.pieces(body):
            frame = frames.pack({"kind": kind, "call": call, "more": more, **fields}, piece)
            if hold and not more:
                self._held += frame
            else:
                self._write(frame)

    def quiet_for(self, seconds: float) -> bool:
        """Whether the host says nothing for so long."""
        return not self._ready.poll(seconds * 1000)

    def mark(self, marker: str) -> None:
        """Write what a host that has just attached looks for: whatever precedes it was for another."""
        self._write(marker.encode("ascii"))

    def _write(self, data: bytes) -> None:
        view = memoryview(bytes(self._held) + data)
        self._held.clear()
        while view:
            view = view[os.write(self._output, view) :]

    def next(self) -> frames.Frame:
        """The next frame that asks for something.

        Raises:
            HostGone: none came in time.
        """
        while (frame := self.listen()) is None:
            pass
        return frame

    def listen(self) -> frames.Frame | None:
        """Read one frame; None if it was only a sign of life.

        Raises:
            HostGone: it did not come whole in time, or is no frame.
        """
        try:
            frame = frames.read(self._receive)
        except frames.FrameError as error:
            raise HostGone(str(error)) from error
        return None if frame.head["kind"] == "ping" else frame

    def _receive(self, count: int) -> bytes:
        parts = []
        while count:
            if not self._ready.poll(max(0.0, self.patience_left) * 1000):
                raise HostGone("silent")
            part = os.read(self.input, min(count, 1 << 20))
            if not part:
                raise HostGone("the connection was closed")
            self._heard = time.monotonic()
            parts.append(part)
            count -= len(part)
        return b"".join(parts)
