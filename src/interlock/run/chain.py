"""The run's event chain, computed in workflow code: pure data, so that replay computes it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio import workflow

from interlock.digest import digest_of
from interlock.events import Event, EventBase
from interlock.run.packing import Batch, Row, pack, short
from interlock.run.trail import Trail

_taps: dict[str, Callable[[Event], None]] = {}


def tap(run: str, listener: Callable[[Event], None] | None) -> None:
    """Let `interlock replay` see each event of `run` as replay computes it; None removes the listener."""
    if listener is None:
        _taps.pop(run, None)
    else:
        _taps[run] = listener


class Chain:
    """Events of one run: what is recorded, and what of it the ledger does not have yet."""

    def __init__(self, run: str, trail: Trail | None = None) -> None:
        """Begin it, or go on where an execution of the workflow left off."""
        self.run = run
        self.trail = trail or Trail(run=run)
        """The chain so far, as its reader can derive the next event from it."""
        self.pending: list[Event] = []
        self._rows: list[Row] = []
        """`pending` as it travels."""
        self._followers: list[Callable[[Event], None]] = []

    @property
    def seq(self) -> int:
        """The next event's place; how many there are."""
        return self.trail.seq

    @property
    def head(self) -> str:
        """The last event's hash."""
        return self.trail.head

    def follow(self, follower: Callable[[Event], None]) -> None:
        """Have each event handed to `follower` as it is recorded."""
        self._followers.append(follower)

    def record(self, kind: type[EventBase], **fields: Any) -> Event:
        """Append an event; its time is the workflow's clock."""
        draft: Any = kind(run=self.run, seq=self.seq, prev=self.head, time=workflow.now(), **fields)
        payload = draft.payload()
        event: Event = draft.model_copy(update={"hash": digest_of(payload)})
        self._rows.append(pack(event, self.trail, payload))
        self.trail.feed(event)
        self.pending.append(event)
        for follower in self._followers:
            follower(event)
        if listener := _taps.get(self.run):
            listener(event)
        return event

    def unsent(self) -> Batch:
        """The pending events: the input of the next activity that commits."""
        return Batch(first=self.seq - len(self.pending), head=short(self.head), rows=tuple(self._rows))

    def committed(self, seq: int) -> None:
        """The ledger holds every event up to and including `seq`."""
        held = sum(event.seq <= seq for event in self.pending)
        del self.pending[:held], self._rows[:held]
