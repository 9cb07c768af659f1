"""The first blob store: content by digest. Released migrations never change; a new one is added after the last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "blobs_0001"
down_revision = None

MAX_BYTES = 64 * 1024 * 1024


def upgrade() -> None:
    """Make the table. PostgreSQL can hash, so there it refuses bytes that belie their digest."""
    checks = [sa.CheckConstraint(f"length(data) <= {MAX_BYTES}", name="blobs_size")]
    if op.get_bind().dialect.name == "postgresql":
        honest = "digest = 'sha256:' || encode(sha256(data), 'hex')"
        checks.append(sa.CheckConstraint(honest, name="blobs_digest"))
    op.create_table(
        "blobs",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
        *checks,
    )
