"""A call in its container: sent, followed to its end, its death explained, the container given back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from interlock.errors import SandboxUnavailable
from interlock.sandbox.call import Observer, SandboxCall
from interlock.sandbox.claiming import Held
from interlock.sandbox.fleet import Fleet
from interlock.sandbox.outcome import START_S, Outcome
from interlock.sandbox.running import Running
from interlock.types import EgressRecord


def serve(
    fleet: Fleet,
    call: SandboxCall,
    held: Held,
    outcome: Outcome,
    arguments: bytes,
    observer: Observer,
    running: Running,
) -> tuple[EgressRecord, ...]:
    """Run the call in the container that it holds; returns the requests that it made.

    Raises:
        IntegrityError, LedgerUnavailable: of the blobs; the tool did not start.
        Conflict: the call has another container, of executors that do not share this one's claims.
    """
    container, since = held.container, time.time()
    try:
        running.holds(container)
        stream = container.stream
        stream.cap = stream.received + outcome.total_cap
        stream.deadline = time.monotonic() + START_S
        with _way_out(fleet, call, held, observer) as records:
            outcome.follow(stream, arguments)
        container.memory_kib = outcome.left_kib
        outcome.explain_death(stopped=running.stopped, out_of_memory=lambda: container.out_of_memory(since))
    finally:
        # A call that is over sooner than the engine answers does not wait for it: this host knows of no other.
        taken = container.named(wait=held.lease is not None or not outcome.reported or running.stopped)
        good = not running.stopped and taken is None
        fleet.claims.give_back(held, reported=outcome.reported and good, clean=outcome.clean and good)
    if taken is not None:
        raise taken
    return tuple(records)


@contextmanager
def _way_out(fleet: Fleet, call: SandboxCall, held: Held, observer: Observer) -> Iterator[list[EgressRecord]]:
    """The socket, where the policy gave the call one: bound for this call, gone with it."""
    if call.way_out is None or held.container.way_out is None:
        yield []
        return
    with ExitStack() as stack:
        try:
            records = stack.enter_context(fleet.egress.open(held.container.way_out, call.way_out, observer))
        except OSError as error:
            raise SandboxUnavailable(f"the call's way out cannot be opened: {error}") from error
        yield records
