"""When people first opened a card."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "accounts_0004"
down_revision = "accounts_0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "views",
        sa.Column("request", sa.Text, primary_key=True),
        sa.Column("person", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("opened_at", sa.Text, nullable=False),
    )
    op.create_index("views_by_time", "views", ["tenant", "opened_at"])
