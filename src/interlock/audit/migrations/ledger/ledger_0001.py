"""The first ledger: events, read models, reservations, checkpoints; append-only by trigger.

Released migrations never change; a new one is added after the last.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "ledger_0001"
down_revision = None

APPEND_ONLY = {
    "events": ("run", "seq"),
    "calls": ("call_id",),
    "attempts": ("call_id", "attempt"),
    "results": ("call_id",),
    "consumed_approvals": ("jti",),
    "workspaces": ("run", "version"),
    "remembered": ("kind", "digest"),
    "alarms": ("alarm_id",),
    "checkpoints": ("run", "count"),
}
"""Table → its primary key."""


def upgrade() -> None:
    """Make the tables, then their triggers."""
    _events_and_read_models()
    _calls()
    _records()
    if op.get_bind().dialect.name == "sqlite":
        _sqlite_triggers()
    else:
        _postgresql_triggers()


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _key(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, primary_key=True) for name in names]


def _number(name: str, *, key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=key, autoincrement=False, nullable=False)


def _events_and_read_models() -> None:
    op.create_table(
        "events",
        *_key("run"),
        _number("seq", key=True),
        *_text("kind", "hash"),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "runs",
        *_key("run"),
        *_text("tenant", "workflow", "requester", "manifest", "status", "started_at", "updated_at"),
        sa.Column("ended_at", sa.Text),
        *_text("workspace"),
        _number("count"),
        *_text("head", "result", "detail"),
        sa.Column("paused", sa.Boolean, nullable=False),
        _number("waiting"),
    )
    op.create_index("runs_by_start", "runs", ["started_at", "run"])
    op.create_table(
        "approvals",
        *_key("request_id"),
        sa.Column("run", sa.Text, sa.ForeignKey("runs.run"), nullable=False),
        *_text("tenant", "requester", "kind", "call_id", "tool", "agent", "rule", "reason", "route", "approvers"),
        _number("quorum"),
        *_text("call_digest", "subject", "requested_at", "expires_at", "state", "decided_by"),
        sa.Column("decided_at", sa.Text),
        *_text("votes"),
    )
    op.create_index("approvals_by_run", "approvals", ["run"])
    op.create_index("approvals_by_state", "approvals", ["state", "requested_at"])


def _calls() -> None:
    op.create_table(
        "calls",
        *_key("call_id"),
        sa.Column("run", sa.Text, sa.ForeignKey("runs.run"), nullable=False),
        *_text("call_digest", "verdict", "rule", "bundle", "request", "reserved_at"),
    )
    op.create_index("calls_by_run", "calls", ["run"])
    op.create_table(
        "attempts",
        sa.Column("call_id", sa.Text, sa.ForeignKey("calls.call_id"), primary_key=True),
        _number("attempt", key=True),
        *_text("executor", "attempted_at"),
    )
    op.create_table(
        "results",
        sa.Column("call_id", sa.Text, sa.ForeignKey("calls.call_id"), primary_key=True),
        _number("attempt"),
        sa.Column("result", sa.LargeBinary, nullable=False),
        *_text("receipt", "workspace_before", "workspace_after", "finished_at"),
    )
    op.create_table(
        "consumed_approvals",
        *_key("jti"),
        sa.Column("call_id", sa.Text, sa.ForeignKey("calls.call_id"), nullable=False),
        _number("attempt"),
        *_text("consumed_at"),
    )
    op.create_index("consumed_by_call", "consumed_approvals", ["call_id"])


def _records() -> None:
    op.create_table(
        "workspaces",
        sa.Column("run", sa.Text, sa.ForeignKey("runs.run"), primary_key=True),
        _number("version", key=True),
        *_text("digest", "call_id"),
    )
    op.create_table("remembered", *_key("kind", "digest"), *_text("remembered_at"))
    op.create_table("alarms", *_key("alarm_id"), *_text("run", "kind", "detail", "raised_at"))
    op.create_index("alarms_by_run", "alarms", ["run"])
    op.create_table("checkpoints", *_key("run"), _number("count", key=True), *_text("head", "time", "statement"))


def _sqlite_triggers() -> None:
    for table, key in APPEND_ONLY.items():
        refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        same = " AND ".join(f'"{column}" = NEW."{column}"' for column in key)
        op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}")
        op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}")
        # INSERT OR REPLACE deletes without firing delete triggers, so it is caught before it inserts.
        exists = f"EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608
        op.execute(f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {exists} {refuse}")


def _postgresql_triggers() -> None:
    op.execute(
        "CREATE FUNCTION interlock_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION interlock_append_only()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION interlock_append_only()"
        )
