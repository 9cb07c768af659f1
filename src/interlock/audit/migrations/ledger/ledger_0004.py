"""Erasures are found without reading every event."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "ledger_0004"
down_revision = "ledger_0003"


def upgrade() -> None:
    """Make the index."""
    erased = sa.text("kind = 'run.erased'")
    op.create_index("events_of_erasures", "events", ["run"], sqlite_where=erased, postgresql_where=erased)
