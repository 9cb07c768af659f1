"""A call under way in this process, and how it is stopped from another thread."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from interlock.sandbox.container import Container
from interlock.sandbox.pool import Offer


class Running:
    """What must be stopped when a call is: known only once its container is there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._container: Container | None = None
        self._awaited: Future[Offer] | None = None
        self.stopped = False

    def awaits(self, future: Future[Offer]) -> None:
        """The call waits for a container. If it was stopped before, it waits no more."""
        with self._lock:
            self._awaited = future
            if self.stopped:
                future.cancel()

    def holds(self, container: Container) -> None:
        """The call has a container now. If it was stopped before, the container's connection is closed at once."""
        with self._lock:
            self._container = container
            if self.stopped:
                container.stream.close()

    def stop(self) -> None:
        """Close the connection, so that the thread that waits wakes and destroys the container."""
        with self._lock:
            self.stopped = True
            if self._awaited is not None:
                self._awaited.cancel()
            if self._container is not None:
                self._container.stream.close()
