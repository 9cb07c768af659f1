"""Does the record of a run agree with those of the runs above and below it?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from interlock.audit import Ledger
from interlock.events import CallFinished, Event, RunStarted
from interlock.types.call import ChildRun

Found = tuple[Event, str, str]
"""An event, its field, and what is wrong with it."""


def hand_off_differences(ledger: Ledger, recorded: Sequence[Event]) -> Iterator[Found]:
    """Where what a run says of its hand-offs, or of the one that it came of, is not what the ledger has."""
    for event in recorded:
        if isinstance(event, RunStarted) and event.parent:
            yield from _origin(ledger, event)
        if isinstance(event, CallFinished) and event.child is not None:
            for message in _child(ledger, event.child):
                yield event, "child", message


def below(ledger: Ledger, run: str) -> Iterator[str]:
    """The runs to which a run handed work on, and those to which they did; each before those below it."""
    for row in ledger.hand_offs(run):
        if ledger.head(row.child).count:
            yield row.child
            yield from below(ledger, row.child)


def _origin(ledger: Ledger, start: RunStarted) -> Iterator[Found]:
    row = ledger.origin(start.run)
    said = (start.parent, start.parent_call, start.requester_token)
    if row is None or (row.run, row.call_id, row.delegation) != said:
        yield start, "parent", f"the ledger has no hand-off of run {start.parent!r} to this run by this statement"


def _child(ledger: Ledger, child: ChildRun) -> Iterator[str]:
    if not child.count:
        return
    last = ledger.events(child.run, child.count - 2)[:1]
    if not last:
        yield f"the receipt says that run {child.run!r} had {child.count} events; the ledger has not so many"
    elif last[0].hash != child.head:
        yield f"the receipt says that run {child.run!r} came to {child.head}, the ledger has {last[0].hash}"
