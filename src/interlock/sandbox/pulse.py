"""One thread that tells every container of this process that its host lives, and does what else comes round."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from interlock.sandbox.stream import Stream, StreamEnded

TICK_S: Final = 1.0
EVERY: Final = 3
"""Ticks between signs of life. A waiting runner ends itself after ten seconds without one."""

_log = logging.getLogger(__name__)


class Pulse:
    """Beats until it is stopped."""

    def __init__(self) -> None:
        self._streams: set[Stream] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._also: list[Callable[[], None]] = []
        self._thread: threading.Thread | None = None

    def also(self, action: Callable[[], None]) -> None:
        """Call `action` at every tick; it must not wait for anything."""
        self._also.append(action)

    def add(self, stream: Stream) -> None:
        """Keep the container at the other end alive."""
        with self._lock:
            self._streams.add(stream)
            if self._thread is None:
                self._thread = threading.Thread(target=self._beat, name="sandbox-pulse", daemon=True)
                self._thread.start()

    def remove(self, stream: Stream) -> None:
        """Leave it to itself."""
        with self._lock:
            self._streams.discard(stream)

    def stop(self) -> None:
        """No more beats."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _beat(self) -> None:
        ticks = 0
        while not self._stopped.wait(TICK_S):
            ticks += 1
            if ticks % EVERY == 0:
                self._ping()
            for action in self._also:
                try:
                    action()
                except Exception:
                    _log.exception("looking after waiting containers failed")

    def _ping(self) -> None:
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            # Whoever holds it sees its end where it reads.
            with suppress(StreamEnded):
                stream.ping()
