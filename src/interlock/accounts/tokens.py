"""API tokens: how a person's programs act for them. Each is for some actions alone, and ends by itself."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import insert, select, update

from interlock.accounts.secret import hashed, new_secret, stored_time
from interlock.accounts.tables import tokens
from interlock.database import Store
from interlock.errors import InvalidInput, TokenRejected

PREFIX: Final = "il"
"""Begins every token, so that scanners of source code find one that was left somewhere."""
LONGEST: Final = timedelta(days=366)
_SEEN_EVERY: Final = timedelta(minutes=1)
_NAME_LENGTH: Final = 100


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it may be shown: everything but its secret, which nobody has but its holder."""

    token: str
    """Its id."""
    person: str
    tenant: str
    name: str
    """What it is for, in its maker's words."""
    scopes: frozenset[str]
    """`noun:action`: all that it may do, as far as its person may."""
    made_at: datetime
    expires_at: datetime
    used_at: datetime | None
    """Of the last use, within a minute."""
    revoked_at: datetime | None

    def holds(self, now: datetime) -> bool:
        """Whether it lets anybody in."""
        return self.revoked_at is None and now < self.expires_at


@dataclass(frozen=True)
class Tokens:
    """The tokens that were made."""

    store: Store

    def make(
        self, person: str, tenant: str, *, name: str, scopes: Collection[str], now: datetime, life: timedelta
    ) -> tuple[Token, str]:
        """A token, and its text, which is shown this once.

        Raises:
            InvalidInput: no name, no scope, or a life that is too long or none.
        """
        if not name.strip() or len(name) > _NAME_LENGTH:
            raise InvalidInput(f"name: say in 1 to {_NAME_LENGTH} characters what the token is for")
        if not scopes:
            raise InvalidInput("scopes: a token without any may do nothing", next_step="--scope runs:read")
        if not timedelta() < life <= LONGEST:
            raise InvalidInput(f"life: {life} is not between nothing and {LONGEST.days} days")
        found, secret = secrets.token_hex(8), new_secret()
        row = {
            "token": found,
            "secret": hashed(secret),
            "person": person,
            "tenant": tenant,
            "name": name,
            "scopes": json.dumps(sorted(set(scopes))),
            "made_at": stored_time(now),
            "expires_at": stored_time(now + life),
        }
        with self.store.write() as connection:
            connection.execute(insert(tokens).values(row))
            made = connection.execute(select(tokens).where(tokens.c.token == found)).one()
        return _token(made._mapping), f"{PREFIX}_{found}_{secret}"

    def find(self, text: str, *, now: datetime) -> Token:
        """The token of a text.

        Raises:
            TokenRejected: never made, expired or revoked. Which of these, only its holder is told.
        """
        prefix, _, rest = text.partition("_")
        own, _, secret = rest.partition("_")
        with self.store.read() as connection:
            row = connection.execute(select(tokens).where(tokens.c.token == own)).one_or_none()
        if prefix != PREFIX or row is None or not hmac.compare_digest(row.secret, hashed(secret)):
            raise TokenRejected("the token is not known", next_step="interlock accounts token new")
        found = _token(row._mapping)
        if not found.holds(now):
            what = "was revoked" if found.revoked_at else f"expired at {stored_time(found.expires_at)}"
            raise TokenRejected(f"the token {found.token} {what}", next_step="interlock accounts token new")
        if found.used_at is None or now - found.used_at >= _SEEN_EVERY:
            with self.store.write() as connection:
                used = update(tokens).where(tokens.c.token == own)
                connection.execute(used.values(used_at=stored_time(now)))
        return found

    def of(self, person: str, tenant: str) -> list[Token]:
        """A person's tokens, those that hold no more too, oldest first."""
        query = select(tokens).where(tokens.c.person == person, tokens.c.tenant == tenant)
        with self.store.read() as connection:
            rows = connection.execute(query.order_by(tokens.c.made_at, tokens.c.token))
            return [_token(row._mapping) for row in rows]

    def revoke(self, token: str, person: str, tenant: str, *, now: datetime) -> Token:
        """End one of a person's tokens; again changes nothing.

        Raises:
            InvalidInput: this person has no such token.
        """
        own = (tokens.c.token == token) & (tokens.c.person == person) & (tokens.c.tenant == tenant)
        with self.store.write() as connection:
            ended = update(tokens).where(own, tokens.c.revoked_at.is_(None))
            connection.execute(ended.values(revoked_at=stored_time(now)))
            row = connection.execute(select(tokens).where(own)).one_or_none()
        if row is None:
            raise InvalidInput(f"{person} has no token {token!r}", next_step="interlock accounts token list")
        return _token(row._mapping)


def _token(values: Any) -> Token:
    def time(name: str) -> datetime | None:
        return datetime.fromisoformat(values[name]) if values[name] else None

    return Token(
        token=values["token"],
        person=values["person"],
        tenant=values["tenant"],
        name=values["name"],
        scopes=frozenset(json.loads(values["scopes"])),
        made_at=datetime.fromisoformat(values["made_at"]),
        expires_at=datetime.fromisoformat(values["expires_at"]),
        used_at=time("used_at"),
        revoked_at=time("revoked_at"),
    )
