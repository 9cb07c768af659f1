"""The outbox: what is to be told, to which channel, and what became of it.

A row is made once for each fact, channel and person, whoever finds the fact and how often. A sender claims rows by
moving their next attempt behind the longest that an attempt can take: if it dies meanwhile, another one takes over.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy import Connection, and_, delete, func, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from interlock.database import Store, migrate
from interlock.errors import InvalidInput
from interlock.notifications.delivery import ATTEMPTS, TIMEOUT_S, DeliveryFailed, pause
from interlock.notifications.notification import Notification
from interlock.notifications.tables import notifications

State = Literal["pending", "sent", "dead"]
"""pending: to be sent, or to be tried again. dead: given up; `interlock notifications retry` begins anew."""

MIGRATIONS: Final = Path(__file__).parent / "migrations"
LAST: Final = "notifications_0001"
LEASE: Final = timedelta(seconds=4 * TIMEOUT_S)
"""How long a claimed row is left to who claimed it."""
KEPT: Final = timedelta(days=30)
"""How long rows that were sent are kept for people to look at."""
_KEY: Final = (notifications.c.event_id, notifications.c.channel, notifications.c.person)


@dataclass(frozen=True, slots=True)
class Told:
    """One row: one notification for one channel, and for one person where the channel is email."""

    notification: Notification
    channel: str
    person: str
    state: State
    attempts: int
    """How often it was tried, the attempt under way included."""
    made_at: datetime
    next_at: datetime
    """When it is tried next; means nothing unless pending."""
    ended_at: datetime | None
    problem: str
    """What the last attempt met; empty: nothing."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What names the row."""
        return self.notification.event_id, self.channel, self.person


class Outbox:
    """The tables in the accounts' database. Safe to call from threads; every method raises `LedgerUnavailable`
    when the database fails."""

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        """Open it, and bring its tables up to date, unless `read_only`.

        Raises:
            InvalidInput: the URL does not fit.
            LedgerUnavailable: the database cannot be reached or written.
        """
        self.store = Store("notifications", url, read_only=read_only)
        migrate(self.store, MIGRATIONS, LAST)
        self._owner = secrets.token_hex(8)

    def close(self) -> None:
        """Close every connection."""
        self.store.close()

    def add(
        self,
        connection: Connection,
        notification: Notification,
        targets: Collection[tuple[str, str]],
        now: datetime,
    ) -> None:
        """Put a notification in for channels and persons, within a transaction; what is there already stays."""
        rows = [_columns(notification, channel, person, now) for channel, person in targets]
        if rows:
            insert = sqlite.insert if self.store.sqlite else postgresql.insert
            connection.execute(insert(notifications).on_conflict_do_nothing(), rows)

    def claim(self, channel: str, now: datetime, limit: int) -> list[Told]:
        """Take rows of a channel that are due: no other sender gets them while the lease lasts."""
        due = (
            select(notifications)
            .where(*_due(channel, now))
            .order_by(notifications.c.next_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        if not self._any_due(channel, now):
            return []
        with self.store.write() as connection:
            rows = [row._asdict() for row in connection.execute(due)]
            for row in rows:
                row |= {"attempts": row["attempts"] + 1, "next_at": _text(now + LEASE), "claimed_by": self._owner}
                taken = {name: row[name] for name in ("attempts", "next_at", "claimed_by")}
                connection.execute(update(notifications).where(_is(row)).values(taken))
            return [_told(row) for row in rows]

    def _any_due(self, channel: str, now: datetime) -> bool:
        """Looked at often, and mostly in vain, so without a writer's lock."""
        query = select(notifications.c.event_id).where(*_due(channel, now)).limit(1)
        with self.store.read() as connection:
            return connection.execute(query).first() is not None

    def sent(self, told: Told, now: datetime) -> None:
        """A claimed row was delivered."""
        self._end(told, {"state": "sent", "problem": "", "ended_at": _text(now)})

    def failed(self, told: Told, failure: DeliveryFailed, now: datetime) -> State:
        """A claimed row was not delivered: it is tried again later, or given up; returns which."""
        problem = f"{failure.reason} ({failure.next_step})" if failure.next_step else failure.reason
        if failure.final or told.attempts >= ATTEMPTS:
            self._end(told, {"state": "dead", "problem": problem, "ended_at": _text(now)})
            return "dead"
        again = now + pause(told.attempts, failure.after_s)
        self._end(told, {"problem": problem, "next_at": _text(again)})
        return "pending"

    def postpone(self, told: Told, until: datetime) -> None:
        """A claimed row was not tried: it waits, and this was no attempt."""
        self._end(told, {"attempts": told.attempts - 1, "next_at": _text(until)})

    def sent_since(self, channel: str, person: str, since: datetime) -> int:
        """How many were delivered to a person on a channel."""
        query = select(func.count()).where(
            notifications.c.channel == channel,
            notifications.c.person == person,
            notifications.c.state == "sent",
            notifications.c.ended_at >= _text(since),
        )
        with self.store.read() as connection:
            return connection.execute(query).scalar_one()

    def _end(self, told: Told, values: dict[str, Any]) -> None:
        event_id, channel, person = told.key
        row = {"event_id": event_id, "channel": channel, "person": person}
        # Whoever stalled until another one took the row over has nothing to say about it.
        still = and_(
            _is(row),
            notifications.c.claimed_by == self._owner,
            notifications.c.attempts == told.attempts,
            notifications.c.state == "pending",
        )
        with self.store.write() as connection:
            connection.execute(update(notifications).where(still).values({**values, "claimed_by": ""}))

    def give_up(self, channels: Collection[str], now: datetime) -> int:
        """Rows for channels that are no longer in the file are dead; returns how many."""
        stray = and_(notifications.c.state == "pending", notifications.c.channel.not_in(list(channels)))
        values = {"state": "dead", "problem": "the file no longer has this channel", "ended_at": _text(now)}
        with self.store.write() as connection:
            return connection.execute(update(notifications).where(stray).values(values)).rowcount

    def prune(self, now: datetime) -> int:
        """Forget what was sent long ago; returns how many rows."""
        old = and_(notifications.c.state == "sent", notifications.c.ended_at < _text(now - KEPT))
        with self.store.write() as connection:
            return connection.execute(delete(notifications).where(old)).rowcount

    def listed(self, state: State | None, limit: int) -> list[Told]:
        """Rows of a state, or of any with None; the newest first."""
        query = select(notifications).order_by(notifications.c.made_at.desc(), *_KEY).limit(limit)
        if state is not None:
            query = query.where(notifications.c.state == state)
        with self.store.read() as connection:
            return [_told(row._asdict()) for row in connection.execute(query)]

    def counts(self) -> dict[str, int]:
        """State → how many rows."""
        query = select(notifications.c.state, func.count().label("rows")).group_by(notifications.c.state)
        with self.store.read() as connection:
            return {row.state: row.rows for row in connection.execute(query)}

    def retry(self, event_id: str, now: datetime) -> int:
        """Dead rows begin anew: those of one event, or all with an empty `event_id`; returns how many.

        Raises:
            InvalidInput: no row of this event is dead.
        """
        wanted = notifications.c.state == "dead"
        if event_id:
            wanted = and_(wanted, notifications.c.event_id == event_id)
        values = {"state": "pending", "attempts": 0, "next_at": _text(now), "problem": "", "ended_at": ""}
        with self.store.write() as connection:
            count = connection.execute(update(notifications).where(wanted).values(values)).rowcount
        if event_id and not count:
            raise InvalidInput(
                f"no notification {event_id!r} is dead", next_step="interlock notifications list --state dead"
            )
        return count


def _due(channel: str, now: datetime) -> tuple[Any, ...]:
    pending = notifications.c.state == "pending"
    return pending, notifications.c.next_at <= _text(now), notifications.c.channel == channel


def _is(row: dict[str, Any]) -> Any:
    return tuple_(*_KEY) == tuple_(row["event_id"], row["channel"], row["person"])


def _columns(notification: Notification, channel: str, person: str, now: datetime) -> dict[str, Any]:
    return {
        "event_id": notification.event_id,
        "channel": channel,
        "person": person,
        "kind": notification.kind,
        "run": notification.run,
        "body": json.dumps(notification.model_dump(mode="json")),
        "state": "pending",
        "attempts": 0,
        "made_at": _text(now),
        "next_at": _text(now),
        "claimed_by": "",
        "ended_at": "",
        "problem": "",
    }


def _told(row: dict[str, Any]) -> Told:
    return Told(
        notification=Notification.model_validate_json(row["body"]),
        channel=row["channel"],
        person=row["person"],
        state=row["state"],
        attempts=row["attempts"],
        made_at=datetime.fromisoformat(row["made_at"]),
        next_at=datetime.fromisoformat(row["next_at"]),
        ended_at=datetime.fromisoformat(row["ended_at"]) if row["ended_at"] else None,
        problem=row["problem"],
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def pages(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """`names` in pieces that one statement takes."""
    for start in range(0, len(names), size):
        yield names[start : start + size]
