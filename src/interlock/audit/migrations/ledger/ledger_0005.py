"""Requests go through stages: which one decides, and until when a request can be open at all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "ledger_0005"
down_revision = "ledger_0004"


def upgrade() -> None:
    """Add the columns; a request of before has one stage, which ends with it."""
    op.add_column("approvals", sa.Column("stage", sa.Text, nullable=False, server_default=""))
    op.add_column("approvals", sa.Column("ends_at", sa.Text, nullable=False, server_default=""))
    op.execute("UPDATE approvals SET ends_at = expires_at")
