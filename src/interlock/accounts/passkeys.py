"""Passkeys of people, and what they signed. That a key is a person's, the API's statement says, and not the row."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, insert, select, update

from interlock.accounts.secret import stored_time
from interlock.accounts.tables import ceremonies, decision_signatures, passkeys
from interlock.database import Store
from interlock.errors import Conflict, InvalidInput, TokenRejected

CEREMONY: Final = timedelta(minutes=5)
"""How long an authenticator may take to make a key."""


@dataclass(frozen=True, slots=True)
class Passkey:
    """A registered key."""

    credential: str
    """Its id, base64url."""
    person: str
    tenant: str
    name: str
    statement: str
    """The API's, which names its public key."""
    sign_count: int
    """How often the authenticator had signed when it was last used; 0: it does not count."""
    made_at: datetime
    used_at: datetime | None


@dataclass(frozen=True)
class Passkeys:
    """The keys that were registered."""

    store: Store

    def begin(self, person: str, tenant: str, challenge: str, *, now: datetime) -> str:
        """Keep a registration's challenge for a while; returns the ceremony's id."""
        ceremony = secrets.token_urlsafe(16)
        row = {
            "ceremony": ceremony,
            "kind": f"passkey {tenant} {person}",
            "content": challenge,
            "expires_at": stored_time(now + CEREMONY),
        }
        with self.store.write() as connection:
            connection.execute(delete(ceremonies).where(ceremonies.c.expires_at <= stored_time(now)))
            connection.execute(insert(ceremonies).values(row))
        return ceremony

    def challenge(self, ceremony: str, person: str, tenant: str, *, now: datetime) -> str:
        """The challenge of a ceremony, once.

        Raises:
            TokenRejected: this person began none of this id, or it took too long, or was used.
        """
        own = (ceremonies.c.ceremony == ceremony) & (ceremonies.c.kind == f"passkey {tenant} {person}")
        with self.store.write() as connection:
            row = connection.execute(select(ceremonies).where(own)).one_or_none()
            gone = connection.execute(delete(ceremonies).where(own)).rowcount
        if row is None or gone != 1 or row.expires_at <= stored_time(now):
            raise TokenRejected("this registration was not begun, or took too long", next_step="begin it again")
        return str(row.content)

    def add(
        self,
        credential: str,
        person: str,
        tenant: str,
        *,
        name: str,
        statement: str,
        sign_count: int,
        now: datetime,
    ) -> Passkey:
        """Keep a key.

        Raises:
            Conflict: it is registered already.
        """
        row = {
            "credential": credential,
            "person": person,
            "tenant": tenant,
            "name": name,
            "statement": statement,
            "sign_count": sign_count,
            "made_at": stored_time(now),
        }
        with self.store.write() as connection:
            self.store.lock(connection, f"passkey {credential}")
            if connection.execute(select(passkeys).where(passkeys.c.credential == credential)).first() is not None:
                raise Conflict("this passkey is registered already")
            connection.execute(insert(passkeys).values(row))
            made = connection.execute(select(passkeys).where(passkeys.c.credential == credential)).one()
        return _passkey(made._mapping)

    def of(self, person: str, tenant: str) -> list[Passkey]:
        """A person's keys, oldest first."""
        query = select(passkeys).where(passkeys.c.person == person, passkeys.c.tenant == tenant)
        with self.store.read() as connection:
            rows = connection.execute(query.order_by(passkeys.c.made_at, passkeys.c.credential))
            return [_passkey(row._mapping) for row in rows]

    def remove(self, credential: str, person: str, tenant: str) -> None:
        """Forget a key of a person.

        Raises:
            InvalidInput: they have none of this id.
        """
        own = (passkeys.c.credential == credential) & (passkeys.c.person == person) & (passkeys.c.tenant == tenant)
        with self.store.write() as connection:
            if connection.execute(delete(passkeys).where(own)).rowcount != 1:
                raise InvalidInput(f"{person} has no passkey {credential!r}")

    def used(self, credential: str, sign_count: int, *, now: datetime) -> None:
        """Note a use.

        Raises:
            TokenRejected: the authenticator counted backwards, so that there may be two of it.
        """
        newer = (passkeys.c.credential == credential) & (
            (passkeys.c.sign_count < sign_count) | ((passkeys.c.sign_count == 0) & (sign_count == 0))
        )
        with self.store.write() as connection:
            found = update(passkeys).where(newer).values(sign_count=sign_count, used_at=stored_time(now))
            if connection.execute(found).rowcount != 1:
                raise TokenRejected("the passkey counts backwards: there may be a copy of it")

    def keep_signature(
        self, content: str, *, request: str, person: str, tenant: str, verdict: str, call: str, now: datetime
    ) -> None:
        """Keep what a passkey signed; again changes nothing."""
        key = hashlib.sha256(content.encode()).hexdigest()
        row = {
            "signature": key,
            "request": request,
            "person": person,
            "tenant": tenant,
            "verdict": verdict,
            "call": call,
            "at": stored_time(now),
            "content": content,
        }
        with self.store.write() as connection:
            self.store.lock(connection, f"signature {key}")
            known = select(decision_signatures).where(decision_signatures.c.signature == key)
            if connection.execute(known).first() is None:
                connection.execute(insert(decision_signatures).values(row))

    def signatures(self, request: str, tenant: str) -> list[tuple[str, str]]:
        """Who signed a decision on a request, and what, oldest first."""
        own = (decision_signatures.c.request == request) & (decision_signatures.c.tenant == tenant)
        with self.store.read() as connection:
            rows = connection.execute(select(decision_signatures).where(own).order_by(decision_signatures.c.at))
            return [(row.person, row.content) for row in rows]


def _passkey(values: Any) -> Passkey:
    used = values["used_at"]
    return Passkey(
        credential=values["credential"],
        person=values["person"],
        tenant=values["tenant"],
        name=values["name"],
        statement=values["statement"],
        sign_count=values["sign_count"],
        made_at=datetime.fromisoformat(values["made_at"]),
        used_at=datetime.fromisoformat(used) if used else None,
    )
