"""Gets a call its container: the run's own, one that waits, or the first that is ready; and takes it back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor
from dataclasses import dataclass
from typing import Final

from interlock.errors import Conflict, SandboxUnavailable
from interlock.sandbox.call import SandboxCall, Start
from interlock.sandbox.claim_files import ClaimFiles
from interlock.sandbox.container import SLACK_S, Container, Gone
from interlock.sandbox.lease import Lease, Leases, Lessee
from interlock.sandbox.pool import Pool
from interlock.sandbox.removal import Removal
from interlock.sandbox.running import Running
from interlock.sandbox.shape import life_s

_TRIES: Final = 3


class Stopped(Exception):
    """The call was stopped while it waited for a container."""


def container_name(call_id: str) -> str:
    """The name of a call's container: the same for every executor, so that the engine refuses a second one."""
    return "interlock-" + hashlib.sha256(call_id.encode()).hexdigest()[:40]


@dataclass(frozen=True)
class Held:
    """A container that is one call's."""

    container: Container
    start: Start
    lease: Lease | None = None


class Claims:
    """Hands out containers, each to one call at a time."""

    def __init__(
        self,
        pool_for: Callable[[SandboxCall, str], Pool],
        leases: Leases,
        removal: Removal,
        files: ClaimFiles,
        asking: Executor,
        *,
        shared: Callable[[], bool],
    ) -> None:
        """Args:
        pool_for: where containers wait for a call.
        leases: containers of runs.
        removal: destroys them, and drops their claims.
        files: the claims of this host.
        asking: threads that ask the engine while a call has begun.
        shared: whether executors of other hosts use the same engine, so that only it knows who was first.
        """
        self._pool_for, self._leases, self._removal = pool_for, leases, removal
        self._files, self._asking, self._shared = files, asking, shared

    def claim(self, call: SandboxCall, image: str, running: Running) -> Held:
        """A container that is this call's alone.

        Raises:
            Stopped: `running` was.
            Conflict: the call has a container.
            SandboxUnavailable: none can be had.
        """
        self._free(container_name(call.call_id))
        if call.profile.reuse == "call":
            return self._unused(call, image, running)
        lessee = Lessee.of(call, image)
        lease = self._leases.take(lessee)
        if lease is not None and self._claimed(lease, call):
            return Held(lease.container, "leased", lease)
        held = self._unused(call, image, running)
        return Held(held.container, held.start, self._leases.begin(lessee, held.container))

    def give_back(self, held: Held, *, reported: bool, clean: bool) -> None:
        """The call is over.

        Args:
            held: what `claim` gave.
            reported: the runner said so, after every process of the tool had ended: nobody waits for the removal.
            clean: the tool came to its own end within its limits.
        """
        lease, container = held.lease, held.container
        if lease is not None and clean:
            self._leases.give_back(lease)
            return
        if lease is not None:
            self._leases.end(lease)
        if reported:
            self._removal.soon(container)
        else:
            self._removal.wait(container)

    def _free(self, name: str) -> None:
        """What is left of an earlier attempt of the same call has told its result, and goes."""
        self._removal.free(name)
        if (found := self._leases.free(name)) is not None:
            self._removal.wait(found)

    def _claimed(self, lease: Lease, call: SandboxCall) -> bool:
        lifetime_s = call.profile.time_s + SLACK_S + max(0.0, lease.left_s)
        self._files.drop(lease.container.name)
        self._files.first(container_name(call.call_id), lease.container.ident)
        try:
            lease.container.claim(container_name(call.call_id), call.call_id, lifetime_s)
        except (Gone, Conflict) as error:
            self._leases.end(lease)
            self._removal.wait(lease.container)
            if isinstance(error, Conflict):
                raise
            return False
        return True

    def _unused(self, call: SandboxCall, image: str, running: Running) -> Held:
        pool, name = self._pool_for(call, image), container_name(call.call_id)
        why = ""
        for _ in range(_TRIES):
            future = pool.take()
            running.awaits(future)
            try:
                container, start = future.result()
            except CancelledError as error:
                raise Stopped from error
            first = self._files.first(name, container.ident) and not self._shared()
            try:
                container.claim(name, call.call_id, life_s(call.profile), later=self._asking if first else None)
            except Conflict:
                pool.give_back(container)
                raise
            except Gone as error:
                # It may have the call's name by now, which the next one needs.
                why = str(error)
                container.named()
                self._removal.wait(container)
                if first:
                    self._files.drop(name)
            else:
                return Held(container, start)
        reason = f"containers end before a call can claim them: {why}"
        raise SandboxUnavailable(reason, next_step="see `interlock sandbox doctor`")
