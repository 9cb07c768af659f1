"""Sessions of browsers: rows, so that one can be ended from elsewhere; the browser holds a random id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import delete, insert, select, update

from interlock.accounts.secret import hashed, new_secret, stored_time
from interlock.accounts.tables import sessions
from interlock.database import Store

Via = Literal["link", "oidc"]
_SEEN_EVERY: Final = timedelta(seconds=30)
"""How exactly the last use is known: not each page writes."""


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in browser."""

    key: str
    """Hash of its id: what the row is found by, and what may be shown."""
    person: str
    tenant: str
    via: Via
    started_at: datetime
    seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Sessions:
    """Open sessions."""

    store: Store
    idle: timedelta
    """A session that was not used for so long has ended."""
    life: timedelta
    """A session ends after so long, however much it is used."""

    def start(self, person: str, tenant: str, via: Via, *, now: datetime) -> str:
        """Sign a browser in; returns the id that it keeps."""
        secret = new_secret()
        row = {
            "session": hashed(secret),
            "person": person,
            "tenant": tenant,
            "via": via,
            "started_at": stored_time(now),
            "seen_at": stored_time(now),
            "expires_at": stored_time(now + self.life),
        }
        with self.store.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.expires_at <= stored_time(now)))
            connection.execute(insert(sessions).values(row))
        return secret

    def find(self, secret: str, *, now: datetime) -> Session | None:
        """The open session of an id; None where there is none, or it has ended."""
        with self.store.read() as connection:
            row = connection.execute(select(sessions).where(sessions.c.session == hashed(secret))).one_or_none()
        if row is None:
            return None
        found = _session(row)
        if found.expires_at <= now or found.seen_at + self.idle <= now:
            self.end(found)
            return None
        if now - found.seen_at >= _SEEN_EVERY:
            with self.store.write() as connection:
                seen = update(sessions).where(sessions.c.session == found.key)
                connection.execute(seen.values(seen_at=stored_time(now)))
        return found

    def of(self, person: str, tenant: str, *, now: datetime) -> list[Session]:
        """A person's open sessions, oldest first."""
        query = select(sessions).where(sessions.c.person == person, sessions.c.tenant == tenant)
        with self.store.read() as connection:
            rows = [_session(row) for row in connection.execute(query.order_by(sessions.c.started_at))]
        return [row for row in rows if row.expires_at > now and row.seen_at + self.idle > now]

    def end(self, session: Session) -> None:
        """Sign one browser out."""
        with self.store.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.session == session.key))

    def end_all(self, person: str, tenant: str) -> int:
        """Sign a person out everywhere; returns of how many browsers."""
        own = delete(sessions).where(sessions.c.person == person, sessions.c.tenant == tenant)
        with self.store.write() as connection:
            return connection.execute(own).rowcount


def _session(row: object) -> Session:
    values = row._mapping  # type: ignore[attr-defined]
    times = {name: datetime.fromisoformat(values[name]) for name in ("started_at", "seen_at", "expires_at")}
    return Session(values["session"], values["person"], values["tenant"], values["via"], **times)
