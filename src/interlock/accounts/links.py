"""One-time links: how a person signs in where no identity provider is. Whoever holds the accounts makes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, insert, select, update

from interlock.accounts.secret import hashed, new_secret, stored_time
from interlock.accounts.tables import links
from interlock.database import Store
from interlock.errors import TokenRejected

LIFE: Final = timedelta(minutes=15)
PATH: Final = "/sign-in/link"
NEXT_STEP: Final = "ask for a new one: interlock accounts link --as user:NAME"


@dataclass(frozen=True, slots=True)
class Link:
    """Whom a link signs in."""

    person: str
    tenant: str


def address(public_url: str, code: str) -> str:
    """Where a person opens it."""
    return f"{public_url}{PATH}?code={code}"


@dataclass(frozen=True)
class Links:
    """The links that were made."""

    store: Store

    def make(self, person: str, tenant: str, *, now: datetime, life: timedelta = LIFE) -> str:
        """A secret that signs `person` in once, until `life` is over."""
        secret = new_secret()
        row = {
            "secret": hashed(secret),
            "person": person,
            "tenant": tenant,
            "made_at": stored_time(now),
            "expires_at": stored_time(now + life),
        }
        with self.store.write() as connection:
            connection.execute(delete(links).where(links.c.expires_at < stored_time(now - LIFE)))
            connection.execute(insert(links).values(row))
        return secret

    def look(self, secret: str, *, now: datetime) -> Link:
        """Whom it would sign in; it stays unused, since programs look at links before people do.

        Raises:
            TokenRejected: never made, used before, or too old.
        """
        query = select(links).where(links.c.secret == hashed(secret))
        with self.store.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None or row.used_at is not None or row.expires_at <= stored_time(now):
            raise TokenRejected("this sign-in link was used, or is too old", next_step=NEXT_STEP)
        return Link(row.person, row.tenant)

    def use(self, secret: str, *, now: datetime) -> Link:
        """Whom it signs in; of several who use it at once, one.

        Raises:
            TokenRejected: never made, used before, or too old.
        """
        link = self.look(secret, now=now)
        unused = (links.c.secret == hashed(secret)) & links.c.used_at.is_(None)
        with self.store.write() as connection:
            used = connection.execute(update(links).where(unused).values(used_at=stored_time(now)))
        if used.rowcount != 1:
            raise TokenRejected("this sign-in link was used before", next_step=NEXT_STEP)
        return link
