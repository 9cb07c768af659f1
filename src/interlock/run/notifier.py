"""Reads what the ledger has new, and puts it into the outbox.

Any number of processes may do this at once: a fact has one id, and a row of the outbox one sender.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from interlock.audit import Ledger
from interlock.audit.lengths import RunLength
from interlock.errors import LedgerUnavailable
from interlock.notifications import WAITING, Channels, Cursors, Notification, Outbox, RunCursor, targets
from interlock.run.announcing import announced, still_asked

WHOLE_EVERY: Final = 600
"""Each so-manieth look compares every run; the others only those that are open, and the newest."""
NEWEST: Final = 200
"""Where more than these began since the last look, every run is compared at once."""
_log = logging.getLogger(__name__)


@dataclass
class Notifier:
    """Reads what the ledger has new, and puts it into the outbox."""

    ledger: Ledger
    outbox: Outbox
    channels: Channels
    tenant: str
    deputies: Callable[[str], Sequence[str]] = lambda _: ()
    """Who stands in for a person now."""
    _looks: int = 0
    _broken: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.cursors = Cursors(self.outbox.store)

    def look(self) -> int:
        """Look once; returns how many runs had something new.

        Raises:
            LedgerUnavailable: the ledger or the outbox cannot be used.
        """
        now = datetime.now(UTC)
        if not self.cursors.begun():
            return self._begin(now)
        newest = self.ledger.lengths(self.tenant, newest=NEWEST)
        known = self.cursors.of([one.run for one in newest])
        whole = self._looks % WHOLE_EVERY == 0 or (len(newest) == NEWEST and newest[-1].run not in known)
        self._looks += 1
        found = self.ledger.lengths(self.tenant) if whole else self._likely(newest)
        known = self.cursors.of(None if whole else [one.run for one in found])
        changed = [one for one in found if one.events > known.get(one.run, 0)]
        for one in changed:
            self._read(one, known.get(one.run, 0), now)
        if whole:
            self.outbox.prune(now)
        return len(changed)

    def _likely(self, newest: list[RunLength]) -> list[RunLength]:
        seen = {one.run for one in newest}
        others = [run for run in self.cursors.open() if run not in seen]
        return newest + (self.ledger.lengths(self.tenant, others) if others else [])

    def _read(self, one: RunLength, count: int, now: datetime) -> None:
        with self._apart(one.run):
            events = self.ledger.events(one.run, after=count - 1)
            made = list(announced(self.ledger, self.ledger.run(one.run), events))
            ended = any(event.kind == "run.ended" for event in events) or one.ended
            self._put(made, [RunCursor(one.run, count + len(events), ended)], now)

    @contextmanager
    def _apart(self, run: str) -> Iterator[None]:
        """Whatever somebody wrote into one run's rows, the others are still told of."""
        try:
            yield
        except LedgerUnavailable:
            raise
        except Exception as error:
            if run not in self._broken:
                _log.warning("nobody is told what happens in run %r: %s", run, error)
            self._broken.add(run)

    def _begin(self, now: datetime) -> int:
        """The first look ever: what is over is passed over, what waits for people is told."""
        found = self.ledger.lengths(self.tenant)
        waiting = {row.run for row in self.ledger.approvals() if row.tenant == self.tenant}
        for one in found:
            if one.run not in waiting:
                continue
            with self._apart(one.run):
                requests = self.ledger.approvals(run=one.run)
                events = self.ledger.events(one.run)
                made = list(still_asked(self.ledger.run(one.run), events, requests))
                self._put(made, [RunCursor(one.run, len(events), one.ended)], now)
        rest = [RunCursor(one.run, one.events, one.ended) for one in found if one.run not in waiting]
        self._put([], rest, now)
        self.cursors.begin()
        return len(waiting)

    def _put(self, made: list[Notification], moved: list[RunCursor], now: datetime) -> None:
        asked = [self._with_deputies(notification) for notification in made]
        with self.outbox.store.write() as connection:
            for notification in asked:
                self.outbox.add(connection, notification, targets(self.channels, notification), now)
            self.cursors.move(connection, moved)

    def _with_deputies(self, notification: Notification) -> Notification:
        """Who stands in for somebody is asked as well; whether the route lets them, the card says."""
        if notification.kind not in WAITING:
            return notification
        people = list(notification.people)
        for person in notification.people:
            people += self.deputies(person)
        others = tuple(person for person in dict.fromkeys(people) if person != notification.requester)
        return notification.model_copy(update={"people": others})
