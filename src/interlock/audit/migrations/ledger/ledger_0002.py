"""Requests of sandboxes to the outside world, noted before they leave; append-only by trigger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "ledger_0002"
down_revision = "ledger_0001"

KEY = ("call_id", "attempt", "number")


def upgrade() -> None:
    """Make the table, then its triggers."""
    op.create_table(
        "egress",
        sa.Column("call_id", sa.Text, sa.ForeignKey("calls.call_id"), primary_key=True),
        sa.Column("attempt", sa.BigInteger, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        _sqlite_triggers()
    else:
        _postgresql_triggers()


def _sqlite_triggers() -> None:
    refuse = "BEGIN SELECT RAISE(ABORT, 'egress is append-only'); END"
    same = " AND ".join(f'"{column}" = NEW."{column}"' for column in KEY)
    op.execute(f"CREATE TRIGGER egress_no_update BEFORE UPDATE ON egress {refuse}")
    op.execute(f"CREATE TRIGGER egress_no_delete BEFORE DELETE ON egress {refuse}")
    # INSERT OR REPLACE deletes without firing delete triggers, so it is caught before it inserts.
    exists = f"EXISTS (SELECT 1 FROM egress WHERE {same})"  # noqa: S608
    op.execute(f"CREATE TRIGGER egress_no_replace BEFORE INSERT ON egress WHEN {exists} {refuse}")


def _postgresql_triggers() -> None:
    for name, when, each in (("append_only", "UPDATE OR DELETE", "ROW"), ("no_truncate", "TRUNCATE", "STATEMENT")):
        op.execute(
            f"CREATE TRIGGER egress_{name} BEFORE {when} ON egress "
            f"FOR EACH {each} EXECUTE FUNCTION interlock_append_only()"
        )
