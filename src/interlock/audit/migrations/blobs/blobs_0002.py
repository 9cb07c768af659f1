"""Content of runs, encrypted, and each run's data key, wrapped: blobs named by run and digest."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "blobs_0002"
down_revision = "blobs_0001"

MAX_BYTES = 64 * 1024 * 1024 + 64
"""What encryption adds to the longest blob is included."""


def upgrade() -> None:
    """Make both tables. An erased run's row stays, without its key: that a key is never made again rests on it."""
    op.create_table(
        "run_blobs",
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.CheckConstraint(f"length(data) <= {MAX_BYTES}", name="run_blobs_size"),
    )
    op.create_table(
        "run_keys",
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("id", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("wrapped_by", sa.Text, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("made_at", sa.Text, nullable=False),
        sa.Column("erased_at", sa.Text),
        sa.CheckConstraint("length(id) = 8", name="run_keys_id"),
        sa.CheckConstraint("(erased_at IS NULL) = (length(wrapped) > 0)", name="run_keys_erased"),
    )
    op.create_index("run_keys_by_wrapper", "run_keys", ["wrapped_by", "run"])
