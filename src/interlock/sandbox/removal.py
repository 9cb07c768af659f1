"""Destroys containers in the background, so that no result waits for the engine."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final

from interlock.errors import InterlockError
from interlock.sandbox.container import Container

LINGER_S: Final = 1.0
"""A call that has ended stays so long: if its executor dies before the result is on record, another takes it."""
_AT_ONCE: Final = 4

_log = logging.getLogger(__name__)


class Removal:
    """Containers on their way out. No tool runs in any of them."""

    def __init__(self, going: Callable[[Container], None], gone: Callable[[Container], None]) -> None:
        """Args:
        going: called before each is destroyed.
        gone: called after.
        """
        self._going, self._gone = going, gone
        self._changed = threading.Condition()
        self._due: deque[tuple[float, Container]] = deque()
        self._under_way: set[Future[None]] = set()
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="sandbox-removal")
        self._clock: threading.Thread | None = None
        self._closed = False

    def now(self, container: Container) -> None:
        """Destroy it, and do not wait for it."""
        with self._changed:
            self._submit(container)

    def soon(self, container: Container) -> None:
        """Destroy it when nobody can want its result any more."""
        with self._changed:
            if self._closed:
                self._submit(container)
                return
            self._due.append((time.monotonic() + LINGER_S, container))
            if self._clock is None:
                self._clock = threading.Thread(target=self._tick, name="sandbox-linger", daemon=True)
                self._clock.start()
            self._changed.notify()

    def wait(self, container: Container) -> None:
        """Destroy it and wait until it is gone."""
        self._destroy(container)

    def free(self, name: str) -> None:
        """If a container of that name lingers, destroy it and wait until the name is free."""
        with self._changed:
            found = next((item for item in self._due if item[1].name == name), None)
            if found is None:
                return
            self._due.remove(found)
        self._destroy(found[1])

    def settle(self) -> None:
        """Destroy all that linger, and wait until all are gone."""
        with self._changed:
            while self._due:
                self._submit(self._due.popleft()[1])
            pending = set(self._under_way)
        wait(pending)

    def close(self) -> None:
        """Settle; later ones are destroyed at once."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self.settle()
        self._threads.shutdown()

    def _submit(self, container: Container) -> None:
        try:
            future = self._threads.submit(self._destroy, container)
        except RuntimeError:  # closed: whoever comes now waits
            self._destroy(container)
            return
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)

    def _destroy(self, container: Container) -> None:
        try:
            self._going(container)
            if taken := container.named():
                _log.error(
                    "a call of an executor that does not share this one's claims was run here too: %s", taken
                )
            container.destroy()
            self._gone(container)
        except (InterlockError, OSError) as error:
            # The runner ends itself when nobody speaks to it; the reaper comes after that.
            _log.warning("container %s was not removed: %s", container.name, error)

    def _tick(self) -> None:
        with self._changed:
            while not self._closed:
                if not self._due:
                    self._changed.wait()
                elif (left := self._due[0][0] - time.monotonic()) > 0:
                    self._changed.wait(left)
                else:
                    self._submit(self._due.popleft()[1])
