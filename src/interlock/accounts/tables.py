"""The tables of the accounts, for queries. The migrations create them; a test compares the two.

Times are ISO 8601 text in UTC with microseconds, as in the ledger. Of each secret there is its SHA-256 alone: they
are random and 256 bits long, so that nothing slower is needed.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, Table, Text

accounts: Final = MetaData()


def _text(*names: str) -> list[Column[str]]:
    return [Column(name, Text, nullable=False) for name in names]


sessions: Final = Table(
    "sessions",
    accounts,
    Column("session", Text, primary_key=True),
    *_text("person", "tenant", "via", "started_at", "seen_at", "expires_at"),
    Index("sessions_of_people", "person", "tenant"),
)

links: Final = Table(
    "links",
    accounts,
    Column("secret", Text, primary_key=True),
    *_text("person", "tenant", "made_at", "expires_at"),
    Column("used_at", Text),
)

tokens: Final = Table(
    "tokens",
    accounts,
    Column("token", Text, primary_key=True),
    *_text("secret", "person", "tenant", "name", "scopes", "made_at", "expires_at"),
    Column("used_at", Text),
    Column("revoked_at", Text),
    Index("tokens_of_people", "person", "tenant"),
)

answers: Final = Table(
    "answers",
    accounts,
    Column("key", Text, primary_key=True),
    *_text("request", "at"),
    Column("status", BigInteger),
    Column("body", LargeBinary),
    Index("answers_by_time", "at"),
)

attempts: Final = Table(
    "attempts",
    accounts,
    Column("id", Text, primary_key=True),
    *_text("about", "at"),
    Index("attempts_by_time", "about", "at"),
)

ceremonies: Final = Table(
    "ceremonies",
    accounts,
    Column("ceremony", Text, primary_key=True),
    *_text("kind", "content", "expires_at"),
)

passkeys: Final = Table(
    "passkeys",
    accounts,
    Column("credential", Text, primary_key=True),
    *_text("person", "tenant", "name", "statement"),
    Column("sign_count", BigInteger, nullable=False),
    *_text("made_at"),
    Column("used_at", Text),
    Index("passkeys_of_people", "person", "tenant"),
)

deputies: Final = Table(
    "deputies",
    accounts,
    Column("deputy", Text, primary_key=True),
    *_text("person", "tenant", "stand_in", "begins_at", "ends_at", "reason", "statement"),
    Column("revoked_at", Text),
    Index("deputies_of_stand_ins", "stand_in", "tenant"),
    Index("deputies_of_people", "person", "tenant"),
)

decision_signatures: Final = Table(
    "decision_signatures",
    accounts,
    Column("signature", Text, primary_key=True),
    *_text("request", "person", "tenant", "verdict", "call", "at", "content"),
    Index("decision_signatures_of_requests", "request"),
)
