"""The tables of both stores, for queries. The migrations create them; a test compares the two.

Times are ISO 8601 text in UTC with microseconds: the same bytes on both databases, and they sort. Every table
but `runs` and `approvals` (read models of the events) and those of the blob store is append-only by trigger.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, LargeBinary, MetaData, Table, Text, text

ledger: Final = MetaData()
blob_store: Final = MetaData()


def _text(*names: str) -> list[Column[str]]:
    return [Column(name, Text, nullable=False) for name in names]


def _number(*names: str) -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False) for name in names]


_ERASED: Final = text("kind = 'run.erased'")

events: Final = Table(
    "events",
    ledger,
    Column("run", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    *_text("kind", "hash"),
    Column("body", LargeBinary, nullable=False),
    Index("events_of_erasures", "run", sqlite_where=_ERASED, postgresql_where=_ERASED),
)

runs: Final = Table(
    "runs",
    ledger,
    Column("run", Text, primary_key=True),
    *_text("tenant", "workflow", "requester", "manifest", "status", "started_at", "updated_at"),
    Column("ended_at", Text),
    *_text("workspace"),
    *_number("count"),
    *_text("head", "result", "detail"),
    Column("paused", Boolean, nullable=False),
    *_number("waiting"),
    Index("runs_by_start", "started_at", "run"),
)

approvals: Final = Table(
    "approvals",
    ledger,
    Column("request_id", Text, primary_key=True),
    Column("run", Text, ForeignKey("runs.run"), nullable=False),
    *_text(
        "tenant", "requester", "kind", "call_id", "tool", "agent", "rule", "reason", "route", "stage", "approvers"
    ),
    *_number("quorum"),
    *_text("call_digest", "subject", "requested_at", "expires_at", "ends_at", "state", "decided_by"),
    Column("decided_at", Text),
    *_text("votes"),
    Index("approvals_by_run", "run"),
    Index("approvals_by_state", "state", "requested_at"),
)

calls: Final = Table(
    "calls",
    ledger,
    Column("call_id", Text, primary_key=True),
    Column("run", Text, ForeignKey("runs.run"), nullable=False),
    *_text("call_digest", "verdict", "rule", "bundle", "request", "reserved_at"),
    Index("calls_by_run", "run"),
)

attempts: Final = Table(
    "attempts",
    ledger,
    Column("call_id", Text, ForeignKey("calls.call_id"), primary_key=True),
    Column("attempt", BigInteger, primary_key=True, autoincrement=False),
    *_text("executor", "attempted_at"),
)

results: Final = Table(
    "results",
    ledger,
    Column("call_id", Text, ForeignKey("calls.call_id"), primary_key=True),
    *_number("attempt"),
    Column("result", LargeBinary, nullable=False),
    *_text("receipt", "workspace_before", "workspace_after", "finished_at"),
)

consumed_approvals: Final = Table(
    "consumed_approvals",
    ledger,
    Column("jti", Text, primary_key=True),
    Column("call_id", Text, ForeignKey("calls.call_id"), nullable=False),
    *_number("attempt"),
    *_text("consumed_at"),
    Index("consumed_by_call", "call_id"),
)

egress: Final = Table(
    "egress",
    ledger,
    Column("call_id", Text, ForeignKey("calls.call_id"), primary_key=True),
    Column("attempt", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("request", LargeBinary, nullable=False),
)

hand_offs: Final = Table(
    "hand_offs",
    ledger,
    Column("call_id", Text, ForeignKey("calls.call_id"), primary_key=True),
    *_text("run", "child", "agent", "delegation", "begun_at"),
    Index("hand_offs_by_run", "run"),
    Index("hand_offs_by_child", "child", unique=True),
)

grants: Final = Table(
    "grants",
    ledger,
    Column("grant_id", Text, primary_key=True),
    *_text("tenant", "run", "request_id", "by", "agent", "tool", "token", "made_at"),
    Index("grants_by_call", "tenant", "agent", "tool"),
)

grant_uses: Final = Table(
    "grant_uses",
    ledger,
    Column("grant_id", Text, ForeignKey("grants.grant_id"), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    *_text("call_id", "used_at"),
    Index("grant_uses_by_call", "call_id", unique=True),
)

grant_revocations: Final = Table(
    "grant_revocations",
    ledger,
    Column("grant_id", Text, ForeignKey("grants.grant_id"), primary_key=True),
    *_text("by", "token", "reason", "revoked_at"),
)

workspaces: Final = Table(
    "workspaces",
    ledger,
    Column("run", Text, ForeignKey("runs.run"), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    *_text("digest", "call_id"),
)

remembered: Final = Table(
    "remembered",
    ledger,
    Column("kind", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    *_text("remembered_at"),
)

alarms: Final = Table(
    "alarms",
    ledger,
    Column("alarm_id", Text, primary_key=True),
    *_text("run", "kind", "detail", "raised_at"),
    Index("alarms_by_run", "run"),
)

checkpoints: Final = Table(
    "checkpoints",
    ledger,
    Column("run", Text, primary_key=True),
    Column("count", BigInteger, primary_key=True, autoincrement=False),
    *_text("head", "time", "statement"),
)

blobs: Final = Table(
    "blobs",
    blob_store,
    Column("digest", Text, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

run_blobs: Final = Table(
    "run_blobs",
    blob_store,
    Column("run", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

run_keys: Final = Table(
    "run_keys",
    blob_store,
    Column("run", Text, primary_key=True),
    Column("id", LargeBinary, nullable=False, unique=True),
    *_text("wrapped_by"),
    Column("wrapped", LargeBinary, nullable=False),
    *_text("made_at"),
    Column("erased_at", Text),
    Index("run_keys_by_wrapper", "wrapped_by", "run"),
)
