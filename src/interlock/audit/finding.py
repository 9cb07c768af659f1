"""Pages of runs and of closed approval requests, by what people look for. Each reads on from a cursor, so that the
thousandth page takes no longer than the first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, select, tuple_

from interlock.audit.codec import approval_row, iso, run_row
from interlock.audit.rows import ApprovalRow, RunRow, RunStatus
from interlock.audit.tables import approvals, runs
from interlock.errors import InvalidInput
from interlock.types.approval import RequestState

CLOSED: Final[tuple[RequestState, ...]] = (
    "approved",
    "consumed",
    "rejected",
    "answered",
    "expired",
    "withdrawn",
)


def find_runs(
    connection: Connection,
    limit: int,
    before: str,
    *,
    tenant: str,
    status: RunStatus | None,
    workflow: str,
    requester: str,
    text: str,
) -> list[RunRow]:
    """Newest first.

    Raises:
        InvalidInput: `before` is not a cursor.
    """
    query = select(runs).where(runs.c.tenant == tenant).order_by(runs.c.started_at.desc(), runs.c.run.desc())
    if before:
        query = query.where(tuple_(runs.c.started_at, runs.c.run) < tuple_(*_cursor(before)))
    if status:
        query = query.where(runs.c.status == status)
    if workflow:
        query = query.where(runs.c.workflow == workflow)
    if requester:
        query = query.where(runs.c.requester == requester)
    if text:
        query = query.where(runs.c.run.icontains(text, autoescape=True))
    return [run_row(row) for row in _rows(connection, query.limit(limit))]


def find_closed(
    connection: Connection,
    limit: int,
    before: str,
    *,
    tenant: str,
    tool: str,
    states: Sequence[RequestState],
) -> list[ApprovalRow]:
    """Newest request first.

    Raises:
        InvalidInput: `before` is not a cursor.
    """
    found: list[ApprovalRow] = []
    for state in states:  # each by its part of the index; all at once would sort the whole table
        query = select(approvals).where(approvals.c.state == state, approvals.c.tenant == tenant)
        query = query.order_by(approvals.c.requested_at.desc(), approvals.c.request_id.desc())
        if before:
            place = tuple_(approvals.c.requested_at, approvals.c.request_id)
            query = query.where(place < tuple_(*_cursor(before)))
        if tool:
            query = query.where(approvals.c.tool == tool)
        found += [approval_row(row) for row in _rows(connection, query.limit(limit))]
    return sorted(found, key=lambda row: (row.requested_at, row.request_id), reverse=True)[:limit]


def cursor_of(row: ApprovalRow) -> str:
    """Give this to `Ledger.find_closed(before=…)` to read on after this row."""
    return f"{iso(row.requested_at)} {row.request_id}"


def _cursor(text: str) -> tuple[str, str]:
    time, space, name = text.partition(" ")
    if not space:
        raise InvalidInput(f"before: {text!r} is not a cursor", next_step="take the one that the page before gave")
    return time, name


def _rows(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    return [row._asdict() for row in connection.execute(query)]
