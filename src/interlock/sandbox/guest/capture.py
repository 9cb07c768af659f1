"""What a tool printed: the head and the tail of it, counted in raw bytes while it is read."""

from __future__ import annotations

from collections import deque

FLOOD = 64
"""A tool may print this many times what is kept; then it is stopped."""


class Capture:
    """Keeps the first and the last half of `keep` bytes over all streams together."""

    def __init__(self, keep: int) -> None:
        self.total = 0
        self._keep = keep
        self._head_left = keep // 2
        self._tail_left = keep - keep // 2
        self._tail: deque[tuple[str, bytes]] = deque()
        self.dropped = {"stdout": 0, "stderr": 0}

    @property
    def flooded(self) -> bool:
        """Whether more was printed than a tool may print."""
        return self.total > self._keep * FLOOD

    def feed(self, stream: str, chunk: bytes) -> bytes:
        """Take a chunk; returns the part of it that belongs to the head, to be sent at once."""
        self.total += len(chunk)
        head, rest = chunk[: self._head_left], chunk[self._head_left :]
        self._head_left -= len(head)
        if rest:
            self._tail.append((stream, rest))
            self._tail_left -= len(rest)
            self._trim()
        return head

    def _trim(self) -> None:
        while self._tail_left < 0:
            stream, oldest = self._tail.popleft()
            excess = min(len(oldest), -self._tail_left)
            self.dropped[stream] += excess
            self._tail_left += excess
            if excess < len(oldest):
                self._tail.appendleft((stream, oldest[excess:]))

    def tail(self, stream: str) -> bytes:
        """The kept tail of one stream."""
        return b"".join(chunk for name, chunk in self._tail if name == stream)
