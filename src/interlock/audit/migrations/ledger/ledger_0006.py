"""Standing grants, their uses and revocations; append-only by trigger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "ledger_0006"
down_revision = "ledger_0005"

_SAME = {
    "grants": "grant_id = NEW.grant_id",
    "grant_uses": "(grant_id = NEW.grant_id AND number = NEW.number) OR call_id = NEW.call_id",
    "grant_revocations": "grant_id = NEW.grant_id",
}
"""Which earlier row a new one would replace."""


def upgrade() -> None:
    """Make the tables, then their triggers."""
    op.create_table(
        "grants",
        sa.Column("grant_id", sa.Text, primary_key=True),
        *_texts("tenant", "run", "request_id", "by", "agent", "tool", "token", "made_at"),
    )
    op.create_index("grants_by_call", "grants", ["tenant", "agent", "tool"])
    op.create_table(
        "grant_uses",
        sa.Column("grant_id", sa.Text, sa.ForeignKey("grants.grant_id"), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        *_texts("call_id", "used_at"),
    )
    op.create_index("grant_uses_by_call", "grant_uses", ["call_id"], unique=True)
    op.create_table(
        "grant_revocations",
        sa.Column("grant_id", sa.Text, sa.ForeignKey("grants.grant_id"), primary_key=True),
        *_texts("by", "token", "reason", "revoked_at"),
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table, same in _SAME.items():
        _sqlite_triggers(table, same) if sqlite else _postgresql_triggers(table)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _sqlite_triggers(table: str, same: str) -> None:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}")
    op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}")
    # INSERT OR REPLACE deletes without firing delete triggers, so it is caught before it inserts.
    exists = f"EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608
    op.execute(f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {exists} {refuse}")


def _postgresql_triggers(table: str) -> None:
    for name, when, each in (("append_only", "UPDATE OR DELETE", "ROW"), ("no_truncate", "TRUNCATE", "STATEMENT")):
        op.execute(
            f"CREATE TRIGGER {table}_{name} BEFORE {when} ON {table} "
            f"FOR EACH {each} EXECUTE FUNCTION interlock_append_only()"
        )
