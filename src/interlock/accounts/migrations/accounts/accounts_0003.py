"""A passkey keeps the API's statement about it; what passkeys signed is kept; nothing was in the table before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "accounts_0003"
down_revision = "accounts_0002"


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def upgrade() -> None:
    """Make the tables."""
    op.drop_table("passkeys")
    op.create_table(
        "passkeys",
        sa.Column("credential", sa.Text, primary_key=True),
        *_text("person", "tenant", "name", "statement"),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        *_text("made_at"),
        sa.Column("used_at", sa.Text),
    )
    op.create_index("passkeys_of_people", "passkeys", ["person", "tenant"])
    op.create_table(
        "decision_signatures",
        sa.Column("signature", sa.Text, primary_key=True),
        *_text("request", "person", "tenant", "verdict", "call", "at", "content"),
    )
    op.create_index("decision_signatures_of_requests", "decision_signatures", ["request"])
