"""Work that calls handed on to runs of other agents; append-only by trigger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "ledger_0003"
down_revision = "ledger_0002"


def upgrade() -> None:
    """Make the table, then its triggers."""
    op.create_table(
        "hand_offs",
        sa.Column("call_id", sa.Text, sa.ForeignKey("calls.call_id"), primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("run", "child", "agent", "delegation", "begun_at")),
    )
    op.create_index("hand_offs_by_run", "hand_offs", ["run"])
    op.create_index("hand_offs_by_child", "hand_offs", ["child"], unique=True)
    if op.get_bind().dialect.name == "sqlite":
        _sqlite_triggers()
    else:
        _postgresql_triggers()


def _sqlite_triggers() -> None:
    refuse = "BEGIN SELECT RAISE(ABORT, 'hand_offs is append-only'); END"
    op.execute(f"CREATE TRIGGER hand_offs_no_update BEFORE UPDATE ON hand_offs {refuse}")
    op.execute(f"CREATE TRIGGER hand_offs_no_delete BEFORE DELETE ON hand_offs {refuse}")
    # INSERT OR REPLACE deletes without firing delete triggers, so it is caught before it inserts.
    same = "call_id = NEW.call_id OR child = NEW.child"
    exists = f"EXISTS (SELECT 1 FROM hand_offs WHERE {same})"  # noqa: S608
    op.execute(f"CREATE TRIGGER hand_offs_no_replace BEFORE INSERT ON hand_offs WHEN {exists} {refuse}")


def _postgresql_triggers() -> None:
    for name, when, each in (("append_only", "UPDATE OR DELETE", "ROW"), ("no_truncate", "TRUNCATE", "STATEMENT")):
        op.execute(
            f"CREATE TRIGGER hand_offs_{name} BEFORE {when} ON hand_offs "
            f"FOR EACH {each} EXECUTE FUNCTION interlock_append_only()"
        )
