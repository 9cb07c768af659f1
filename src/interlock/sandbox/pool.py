"""Containers of one shape, started ahead, with nothing of anybody in them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import Final, Literal, NamedTuple

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_any,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity.stop import stop_base

from interlock.errors import InterlockError
from interlock.sandbox.container import Container
from interlock.sandbox.demand import Demand

MAX_WAIT_S: Final = 1800
"""Seconds after which a container that nobody took is replaced."""
BREATH_S: Final = 0.03
"""Refills begin so long after a container was taken: most calls are over by then, and have had the cores."""
BACK_OFF_S: Final = 30
"""Longest pause between two tries of a refill that fails."""

Origin = Literal["warm", "cold"]
Offer = tuple[Container, Origin]


class Bounds(NamedTuple):
    """Between which numbers demand decides."""

    lowest: int
    highest: int


class Pool:
    """A call takes one at once, or waits for the first that is ready: the one started for it, or a refill."""

    def __init__(
        self,
        start: Callable[[], Container],
        discard: Callable[[Container], None],
        run: Callable[[Callable[[], None]], object],
        turn: threading.Semaphore,
    ) -> None:
        """Args:
        start: starts a container; raises what a call then gets.
        discard: destroys one in the background.
        run: runs a start for a call in a thread of its own.
        turn: held during each refill, shared by all pools.
        """
        self._start, self._discard, self._run, self._turn = start, discard, run, turn
        self._changed = threading.Condition()
        self._waiting: deque[Container] = deque()
        self._callers: deque[Future[Offer]] = deque()
        self._closed = threading.Event()
        self._keeper: threading.Thread | None = None
        self._starting = 0
        self.demand = Demand()
        self.bounds = Bounds(0, 0)
        self.cold_starts = 0
        self.taken = 0
        self.refills = 0
        self.error = ""
        """Why the last refill failed; empty once one succeeds."""
        self.used = time.monotonic()
        """When a call came last."""

    def take(self) -> Future[Offer]:
        """A container for one call, now or as soon as one is ready. Whoever cancels the future gets none.

        The future raises what starting one raises: SandboxUnavailable.
        """
        caller: Future[Offer] = Future()
        with self._changed:
            self.used = time.monotonic()
            self.demand.arrived(self.used)
            self._drop_ended()
            self._changed.notify_all()
            if self._waiting:
                self.taken += 1
                caller.set_result((self._waiting.popleft(), "warm"))
                return caller
            self._callers.append(caller)
        self._run(lambda: self._start_for(caller))
        return caller

    def give_back(self, container: Container) -> None:
        """Nothing was sent to it but its claim."""
        self._arrived(container, "warm")

    def keep(self, bounds: Bounds) -> None:
        """Hold between so many ready from now on."""
        with self._changed:
            self.bounds = bounds
            if self._keeper is None and bounds.highest and not self._closed.is_set():
                self._keeper = threading.Thread(target=self._refill, name="sandbox-refill", daemon=True)
                self._keeper.start()
            self._changed.notify_all()

    def sweep(self) -> None:
        """Let go of what has ended, of what is too many now, and of what has waited too long."""
        with self._changed:
            self._drop_ended()
            old = time.monotonic() - MAX_WAIT_S
            while self._waiting and (len(self._waiting) > self._target() or self._waiting[0].since < old):
                self._discard(self._waiting.popleft())
            self._changed.notify_all()

    def close(self) -> None:
        """Destroy all that wait; nothing is started ahead any more. Calls that wait still get theirs."""
        self._closed.set()
        with self._changed:
            while self._waiting:
                self._discard(self._waiting.popleft())
            self._changed.notify_all()

    def join(self) -> None:
        """Once closed: wait until no refill is under way."""
        if self._keeper is not None:
            self._keeper.join()

    @property
    def waiting(self) -> list[Container]:
        """Those that are ready."""
        with self._changed:
            return list(self._waiting)

    @property
    def starting(self) -> int:
        """How many are being started, for calls and ahead."""
        with self._changed:
            return self._starting + len(self._callers)

    def _target(self) -> int:
        return self.demand.target(time.monotonic(), self.bounds.lowest, self.bounds.highest)

    def _drop_ended(self) -> None:
        for container in [one for one in self._waiting if one.stream.disturbed]:
            self._waiting.remove(container)
            self._discard(container)

    def _start_for(self, caller: Future[Offer]) -> None:
        try:
            container = self._start()
        except BaseException as error:
            with self._changed:
                if caller in self._callers:
                    self._callers.remove(caller)
                    _settle(caller, error)
            return
        self._arrived(container, "cold")

    def _arrived(self, container: Container, origin: Origin) -> None:
        """Hand it to the call that has waited longest, else keep it, else destroy it."""
        with self._changed:
            while self._callers:
                caller = self._callers.popleft()
                if _settle(caller, (container, origin)):
                    self.cold_starts += origin == "cold"
                    self.taken += origin == "warm"
                    return
            if not self._closed.is_set() and len(self._waiting) < self.bounds.highest:
                self._waiting.append(container)
                return
        self._discard(container)

    # -- refills, in a thread of the pool's own ------------------------------------------------------------

    def _refill(self) -> None:
        trying = Retrying(
            wait=wait_random_exponential(multiplier=0.5, max=BACK_OFF_S),
            retry=retry_if_exception_type(InterlockError),
            stop=stop_any(stop_when_event_set(self._closed), _Unwanted(self._lacking)),
            sleep=sleep_using_event(self._closed),
            after=self._failed,
        )
        while not self._closed.is_set():
            with self._changed:
                self._changed.wait_for(self._wanted)
            self._closed.wait(BREATH_S)
            if not self._closed.is_set():
                self._settled(trying)

    def _settled(self, trying: Retrying) -> None:
        try:
            trying(self._start_ahead)
        except Exception as error:
            # No longer wanted, or what no pause mends; the next call starts its own and says why it cannot.
            self.error = str(error.__cause__ or error)
            self._closed.wait(1)

    def _failed(self, state: RetryCallState) -> None:
        failure = state.outcome.exception() if state.outcome else None
        if failure is not None:
            self.error = str(failure)

    def _wanted(self) -> bool:
        # A call that waits has its own start under way, and needs the cores more.
        return self._closed.is_set() or (self._lacking() and not self._callers)

    def _lacking(self) -> bool:
        return len(self._waiting) + self._starting < self._target()

    def _start_ahead(self) -> None:
        with self._turn:
            if self._closed.is_set():
                return
            began, self._starting = time.monotonic(), 1
            try:
                container = self._start()
            finally:
                self._starting = 0
        self.error, self.refills = "", self.refills + 1
        self.demand.refilled(time.monotonic() - began)
        self._arrived(container, "warm")


def _settle(caller: Future[Offer], outcome: Offer | BaseException) -> bool:
    """Give a call its container, or why it gets none; False if it waits no more."""
    try:
        if isinstance(outcome, BaseException):
            caller.set_exception(outcome)
        else:
            caller.set_result(outcome)
    except InvalidStateError:
        return False
    return True


class _Unwanted(stop_base):
    """Stops the tries of a pool that needs no more."""

    def __init__(self, lacking: Callable[[], bool]) -> None:
        self._lacking = lacking

    def __call__(self, retry_state: RetryCallState) -> bool:
        return not self._lacking()
