"""The outbox's tables, for queries. The migrations create them; a test compares the two.

Times are ISO 8601 text in UTC with microseconds, as in the ledger.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, MetaData, Table, Text

metadata: Final = MetaData()

notifications: Final = Table(
    "notifications",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("person", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("made_at", Text, nullable=False),
    Column("next_at", Text, nullable=False),
    Column("claimed_by", Text, nullable=False),
    Column("ended_at", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Index("notifications_by_state", "state", "next_at"),
    Index("notifications_by_person", "channel", "person", "state", "ended_at"),
)

run_cursors: Final = Table(
    "notification_runs",
    metadata,
    Column("run", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("ended", Boolean, nullable=False),
    Index("notification_runs_open", "ended", "run"),
)
