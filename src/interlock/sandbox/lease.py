"""Containers leased to a run: each serves that run's calls one after the other, and nobody else's, ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from interlock.sandbox.call import SandboxCall
from interlock.sandbox.container import Container
from interlock.types import Profile, WayOut

MOST: Final = 64
"""Leased containers that wait, over all runs; beyond, the one that has waited longest goes."""


@dataclass(frozen=True)
class Lessee:
    """Whose a leased container is. It serves a call only if all of this is the same."""

    tenant: str
    run: str
    labels: frozenset[str]
    profile: Profile
    image: str
    way_out: WayOut | None

    @classmethod
    def of(cls, call: SandboxCall, image: str) -> Lessee:
        """Whose container would serve this call."""
        return cls(call.tenant, call.run, frozenset(call.labels), call.profile, image, call.way_out)

    def excludes(self, other: Lessee) -> bool:
        """Whether a call of `other` ends this lease: the same run, now with other labels, or under a profile that
        has changed. Another profile or another way out does not: one run may need several."""
        if (self.tenant, self.run) != (other.tenant, other.run):
            return False
        same_name = self.profile.name == other.profile.name
        return self.labels != other.labels or (same_name and self.profile != other.profile)


@dataclass
class Lease:
    """One container in a run's hands."""

    lessee: Lessee
    container: Container
    calls: int = 0
    since: float = field(default_factory=time.monotonic)
    ended: bool = False
    """The run has ended while a call was under way."""

    @property
    def left_s(self) -> float:
        """Seconds until it must be given up."""
        return self.since + self.lessee.profile.run_s - time.monotonic()

    @property
    def spent(self) -> bool:
        """Whether it may serve no further call."""
        return self.ended or self.left_s <= 0 or self.calls >= self.lessee.profile.run_calls


class Leases:
    """All leases of this process."""

    def __init__(self, discard: Callable[[Container], None]) -> None:
        self._discard = discard
        self._lock = threading.Lock()
        self._waiting: list[Lease] = []
        self._serving: list[Lease] = []

    def take(self, lessee: Lessee) -> Lease | None:
        """The lessee's container that waits, if there is one; its containers for other labels are destroyed."""
        with self._lock:
            self._drop(
                lambda lease: lease.spent or lease.container.stream.disturbed or lease.lessee.excludes(lessee)
            )
            found = next((lease for lease in self._waiting if lease.lessee == lessee), None)
            if found is not None:
                self._waiting.remove(found)
                self._serving.append(found)
            return found

    def begin(self, lessee: Lessee, container: Container) -> Lease:
        """Lease a container that nobody has used."""
        with self._lock:
            lease = Lease(lessee, container)
            self._serving.append(lease)
            return lease

    def give_back(self, lease: Lease) -> None:
        """A call has come to its own end, within its limits; the container waits for the next."""
        with self._lock:
            self._serving.remove(lease)
            lease.calls += 1
            self._waiting.append(lease)
            self._drop(lambda one: one.spent)
            if len(self._waiting) > MOST:
                self._discard(self._waiting.pop(0).container)

    def end(self, lease: Lease) -> None:
        """It serves no more; whoever calls this destroys the container."""
        with self._lock:
            self._serving.remove(lease)

    def release(self, run: str) -> None:
        """The run has ended."""
        with self._lock:
            for lease in self._serving:
                lease.ended = lease.ended or lease.lessee.run == run
            self._drop(lambda lease: lease.lessee.run == run)

    def sweep(self) -> None:
        """Destroy what has waited past its time, or is gone."""
        with self._lock:
            self._drop(_over)

    def free(self, name: str) -> Container | None:
        """The waiting container that still has a call's name, no longer leased."""
        with self._lock:
            found = next((lease for lease in self._waiting if lease.container.name == name), None)
            if found is None:
                return None
            self._waiting.remove(found)
            return found.container

    def close(self) -> None:
        """Destroy all that wait."""
        with self._lock:
            self._drop(lambda lease: True)

    @property
    def idle(self) -> list[Container]:
        """Those that wait between two calls of their run."""
        with self._lock:
            return [lease.container for lease in self._waiting]

    def _drop(self, unfit: Callable[[Lease], bool]) -> None:
        for lease in [lease for lease in self._waiting if unfit(lease)]:
            self._waiting.remove(lease)
            self._discard(lease.container)


def _over(lease: Lease) -> bool:
    return lease.spent or lease.container.stream.disturbed
