"""The first tables of the accounts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "accounts_0001"
down_revision = None


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "sessions",
        sa.Column("session", sa.Text, primary_key=True),
        *_text("person", "tenant", "via", "started_at", "seen_at", "expires_at"),
    )
    op.create_index("sessions_of_people", "sessions", ["person", "tenant"])
    op.create_table(
        "links",
        sa.Column("secret", sa.Text, primary_key=True),
        *_text("person", "tenant", "made_at", "expires_at"),
        sa.Column("used_at", sa.Text),
    )
    op.create_table(
        "tokens",
        sa.Column("token", sa.Text, primary_key=True),
        *_text("secret", "person", "tenant", "name", "scopes", "made_at", "expires_at"),
        sa.Column("used_at", sa.Text),
        sa.Column("revoked_at", sa.Text),
    )
    op.create_index("tokens_of_people", "tokens", ["person", "tenant"])
    op.create_table(
        "answers",
        sa.Column("key", sa.Text, primary_key=True),
        *_text("request", "at"),
        sa.Column("status", sa.BigInteger),
        sa.Column("body", sa.LargeBinary),
    )
    op.create_index("answers_by_time", "answers", ["at"])
    op.create_table(
        "attempts",
        sa.Column("id", sa.Text, primary_key=True),
        *_text("about", "at"),
    )
    op.create_index("attempts_by_time", "attempts", ["about", "at"])
    op.create_table(
        "ceremonies",
        sa.Column("ceremony", sa.Text, primary_key=True),
        *_text("kind", "content", "expires_at"),
    )
    op.create_table(
        "passkeys",
        sa.Column("credential", sa.Text, primary_key=True),
        *_text("person", "tenant", "name", "public_key"),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        *_text("made_at"),
        sa.Column("used_at", sa.Text),
    )
    op.create_index("passkeys_of_people", "passkeys", ["person", "tenant"])
