"""Who decides for whom while they are away."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "accounts_0002"
down_revision = "accounts_0001"


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "deputies",
        sa.Column("deputy", sa.Text, primary_key=True),
        *_text("person", "tenant", "stand_in", "begins_at", "ends_at", "reason", "statement"),
        sa.Column("revoked_at", sa.Text),
    )
    op.create_index("deputies_of_stand_ins", "deputies", ["stand_in", "tenant"])
    op.create_index("deputies_of_people", "deputies", ["person", "tenant"])
