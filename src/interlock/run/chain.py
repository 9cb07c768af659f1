"""The run's event chain, computed in workflow code: pure data, so that replay computes it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio import workflow

from interlock.events import GENESIS, Event, EventBase, sealed

_taps: dict[str, Callable[[Event], None]] = {}


def tap(run: str, listener: Callable[[Event], None] | None) -> None:
    """Let `interlock replay` see each event of `run` as replay computes it; None removes the listener."""
    if listener is None:
        _taps.pop(run, None)
    else:
        _taps[run] = listener


class Chain:
    """Events of one run: what is recorded, and what of it the ledger does not have yet."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.seq = 0
        self.head = GENESIS
        self.pending: list[Event] = []
        self._followers: list[Callable[[Event], None]] = []

    def follow(self, follower: Callable[[Event], None]) -> None:
        """Have each event handed to `follower` as it is recorded."""
        self._followers.append(follower)

    def record(self, kind: type[EventBase], **fields: Any) -> Event:
        """Append an event; its time is the workflow's clock."""
        draft = kind(run=self.run, seq=self.seq, prev=self.head, time=workflow.now(), **fields)
        event = sealed(draft)  # type: ignore[arg-type]
        self.seq, self.head = self.seq + 1, event.hash
        self.pending.append(event)
        for follower in self._followers:
            follower(event)
        if listener := _taps.get(self.run):
            listener(event)
        return event

    def unsent(self) -> list[dict[str, Any]]:
        """The pending events as JSON values: the input of the next activity that commits."""
        return [
            {"kind": event.kind, **event.model_dump(mode="json", exclude_defaults=True)} for event in self.pending
        ]

    def committed(self, seq: int) -> None:
        """The ledger holds every event up to and including `seq`."""
        self.pending = [event for event in self.pending if event.seq > seq]
