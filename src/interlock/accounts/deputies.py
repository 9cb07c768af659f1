"""Who decides for whom while they are away: statements of approvers, signed by the API, each with its time.

The statement stays here until its stand-in decides, and goes with that decision to the workflow, which verifies it.
So revoking it here ends it, and nobody can use one that they copied.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, or_, select, update

from interlock.accounts.secret import stored_time
from interlock.accounts.tables import deputies
from interlock.database import Store
from interlock.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Deputy:
    """One person standing in for another."""

    deputy: str
    """The id of this entry."""
    person: str
    """The approver who is away."""
    tenant: str
    stand_in: str
    """Who decides for them."""
    begins_at: datetime
    ends_at: datetime
    reason: str
    statement: str
    """The approver's, signed by the API."""
    revoked_at: datetime | None

    def holds(self, now: datetime) -> bool:
        """Whether the stand-in may decide now."""
        return self.revoked_at is None and self.begins_at <= now < self.ends_at


@dataclass(frozen=True)
class Deputies:
    """The entries that were made."""

    store: Store

    def add(
        self,
        person: str,
        tenant: str,
        stand_in: str,
        *,
        begins: datetime,
        ends: datetime,
        reason: str,
        statement: str,
    ) -> Deputy:
        """Keep a statement."""
        row = {
            "deputy": secrets.token_hex(8),
            "person": person,
            "tenant": tenant,
            "stand_in": stand_in,
            "begins_at": stored_time(begins),
            "ends_at": stored_time(ends),
            "reason": reason,
            "statement": statement,
        }
        with self.store.write() as connection:
            connection.execute(insert(deputies).values(row))
            made = connection.execute(select(deputies).where(deputies.c.deputy == row["deputy"])).one()
        return _deputy(made._mapping)

    def about(self, person: str, tenant: str) -> list[Deputy]:
        """Those who stand in for a person, and those for whom that person stands in; the oldest first."""
        own = or_(deputies.c.person == person, deputies.c.stand_in == person)
        query = select(deputies).where(own, deputies.c.tenant == tenant)
        with self.store.read() as connection:
            rows = connection.execute(query.order_by(deputies.c.begins_at, deputies.c.deputy))
            return [_deputy(row._mapping) for row in rows]

    def of_stand_in(self, stand_in: str, tenant: str, *, now: datetime) -> list[Deputy]:
        """Those for whom a person may decide now."""
        return [one for one in self.about(stand_in, tenant) if one.stand_in == stand_in and one.holds(now)]

    def revoke(self, deputy: str, person: str, tenant: str, *, now: datetime) -> Deputy:
        """End an entry of a person; again changes nothing.

        Raises:
            InvalidInput: this person made no such entry.
        """
        own = (deputies.c.deputy == deputy) & (deputies.c.person == person) & (deputies.c.tenant == tenant)
        with self.store.write() as connection:
            ended = update(deputies).where(own, deputies.c.revoked_at.is_(None))
            connection.execute(ended.values(revoked_at=stored_time(now)))
            row = connection.execute(select(deputies).where(own)).one_or_none()
        if row is None:
            raise InvalidInput(f"{person} named no deputy {deputy!r}", next_step="interlock accounts deputy list")
        return _deputy(row._mapping)


def _deputy(values: Any) -> Deputy:
    revoked = values["revoked_at"]
    return Deputy(
        deputy=values["deputy"],
        person=values["person"],
        tenant=values["tenant"],
        stand_in=values["stand_in"],
        begins_at=datetime.fromisoformat(values["begins_at"]),
        ends_at=datetime.fromisoformat(values["ends_at"]),
        reason=values["reason"],
        statement=values["statement"],
        revoked_at=datetime.fromisoformat(revoked) if revoked else None,
    )
