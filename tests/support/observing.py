"""An observer of a call, for tests that need to know that the tool runs."""

from __future__ import annotations

import threading


class Began:
    """Knows when a tool has printed something."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def output(self, stream: str, data: bytes) -> None:
        """See `Observer.output`."""
        self.event.set()

    def leaving(self, record: object) -> None:
        """A call without a way out sends nothing."""
        raise AssertionError("it has no way out")
