"""The outbox, and how far each run was read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "notifications_0001"
down_revision = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "notifications",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("event_id", "channel", "person")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("kind", "run", "body", "state")),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("made_at", "next_at", "claimed_by", "ended_at", "problem")
        ),
    )
    op.create_index("notifications_by_state", "notifications", ["state", "next_at"])
    op.create_index("notifications_by_person", "notifications", ["channel", "person", "state", "ended_at"])
    op.create_table(
        "notification_runs",
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
    )
    op.create_index("notification_runs_open", "notification_runs", ["ended", "run"])
