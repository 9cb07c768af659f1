"""Reading the ledger: runs, approval requests, calls, events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy import Connection, Select, Table, func, or_, select, tuple_

from interlock.audit.codec import approval_row, iso, run_row
from interlock.audit.rows import ApprovalRow, CallRow, RunRow, RunStatus
from interlock.audit.tables import (
    approvals,
    attempts,
    calls,
    checkpoints,
    consumed_approvals,
    events,
    grant_uses,
    grants,
    results,
    runs,
    workspaces,
)
from interlock.errors import IntegrityError, InvalidInput
from interlock.events import EVENT, CallDecided, Event
from interlock.types.approval import RequestState

Columns = Mapping[str, Any]
_NAMES_COMPARED: Final = 1_000


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Everything that the ledger stores about a run, as it is stored: material for verification."""

    events: list[Columns]
    run: Columns | None
    approvals: list[Columns]
    calls: list[Columns]
    workspaces: list[Columns]
    checkpoints: list[Columns]
    grants: list[Columns]
    """Standing grants that were given in it."""
    grant_uses: list[Columns]
    """Uses that its calls made of any."""


def read_events(connection: Connection, run: str, after: int) -> list[Event]:
    """The run's events behind `after`.

    Raises:
        IntegrityError: stored bytes are not an event.
    """
    query = select(events.c.seq, events.c.body).where(events.c.run == run, events.c.seq > after)
    found = []
    for row in connection.execute(query.order_by(events.c.seq)):
        try:
            found.append(EVENT.validate_json(bytes(row.body)))
        except ValidationError as error:
            raise IntegrityError(
                f"event {row.seq} of run {run!r} was altered: its bytes are not an event",
                next_step=f"interlock replay {run}",
            ) from error
    return found


def raw_events(connection: Connection, run: str) -> list[bytes]:
    """The run's events as stored."""
    query = select(events.c.body).where(events.c.run == run).order_by(events.c.seq)
    return [bytes(row.body) for row in connection.execute(query)]


def read_decided(
    connection: Connection, names: Sequence[str] | None, since: datetime | None, after: tuple[str, int], limit: int
) -> list[CallDecided]:
    """Decisions of runs, by run and place, behind `after`.

    Raises:
        IntegrityError: stored bytes are not such an event.
    """
    query = select(events.c.run, events.c.seq, events.c.body).where(
        events.c.kind == "call.decided", tuple_(events.c.run, events.c.seq) > tuple_(*after)
    )
    if names is not None:
        query = query.where(events.c.run.in_(names))
    if since is not None:
        query = query.where(events.c.run.in_(select(runs.c.run).where(runs.c.updated_at >= iso(since))))
    rows = list(connection.execute(query.order_by(events.c.run, events.c.seq).limit(limit)))
    return [_decided(row) for row in rows]


def _decided(row: Any) -> CallDecided:
    try:
        return CallDecided.model_validate_json(bytes(row.body))
    except ValidationError as error:
        raise IntegrityError(
            f"event {row.seq} of run {row.run!r} was altered: its bytes are not a decision",
            next_step=f"interlock replay {row.run}",
        ) from error


def list_runs(
    connection: Connection, limit: int, before: str, status: RunStatus | None, tenant: str | None
) -> list[RunRow]:
    """Newest first.

    Raises:
        InvalidInput: `before` is not a cursor, or `limit` is not positive.
    """
    if limit < 1:
        raise InvalidInput(f"limit: {limit} is not positive")
    query = select(runs).order_by(runs.c.started_at.desc(), runs.c.run.desc()).limit(limit)
    if before:
        started_at, space, run = before.partition(" ")
        if not space:
            raise InvalidInput(f"before: {before!r} is not a cursor", next_step="use RunRow.cursor of the last row")
        query = query.where(tuple_(runs.c.started_at, runs.c.run) < tuple_(started_at, run))
    if status:
        query = query.where(runs.c.status == status)
    if tenant is not None:
        query = query.where(runs.c.tenant == tenant)
    return [run_row(row) for row in _rows(connection, query)]


def one_run(connection: Connection, run: str) -> RunRow:
    """The run's read model.

    Raises:
        InvalidInput: unknown; says which run may be meant.
    """
    found = _rows(connection, select(runs).where(runs.c.run == run))
    if not found:
        raise _unknown(connection, "run", run, runs, "run", "interlock run list")
    return run_row(found[0])


def list_approvals(connection: Connection, state: RequestState | None, run: str | None) -> list[ApprovalRow]:
    """Oldest first."""
    query = select(approvals).order_by(approvals.c.requested_at, approvals.c.request_id)
    if state is not None:
        query = query.where(approvals.c.state == state)
    if run is not None:
        query = query.where(approvals.c.run == run)
    return [approval_row(row) for row in _rows(connection, query)]


def one_approval(connection: Connection, request_id: str) -> ApprovalRow:
    """One request.

    Raises:
        InvalidInput: unknown; says which one may be meant.
    """
    found = _rows(connection, select(approvals).where(approvals.c.request_id == request_id))
    if not found:
        hint = "interlock approval list"
        raise _unknown(connection, "approval request", request_id, approvals, "request_id", hint)
    return approval_row(found[0])


def list_calls(connection: Connection, run: str) -> list[CallRow]:
    """The run's reserved calls in order, each with its attempt in force and its result."""
    return [_call_row(connection, row) for row in _calls(connection, run)]


def record(connection: Connection, run: str) -> RunRecord:
    """Everything about a run."""

    def rows(table: Table, *order: str) -> list[Columns]:
        query = select(table).where(table.c.run == run).order_by(*(table.c[name] for name in order))
        return _rows(connection, query)

    return RunRecord(
        events=rows(events, "seq"),
        run=next(iter(rows(runs)), None),
        approvals=rows(approvals, "request_id"),
        calls=_calls(connection, run),
        workspaces=rows(workspaces, "version"),
        checkpoints=rows(checkpoints, "count"),
        grants=rows(grants, "grant_id"),
        grant_uses=_rows(
            connection,
            select(grant_uses)
            .where(grant_uses.c.call_id.startswith(f"{run}:", autoescape=True))
            .order_by(grant_uses.c.call_id),
        ),
    )


def _rows(connection: Connection, query: Select[Any]) -> list[Columns]:
    return [row._asdict() for row in connection.execute(query)]


def _calls(connection: Connection, run: str) -> list[Columns]:
    last = (
        select(attempts.c.call_id, func.max(attempts.c.attempt).label("attempt")).group_by(attempts.c.call_id)
    ).subquery()
    query = (
        select(
            calls,
            attempts.c.attempt,
            attempts.c.executor,
            attempts.c.attempted_at,
            results.c.finished_at,
            results.c.result,
            results.c.receipt,
            results.c.workspace_before,
            results.c.workspace_after,
        )
        .join(last, last.c.call_id == calls.c.call_id)
        .join(attempts, (attempts.c.call_id == calls.c.call_id) & (attempts.c.attempt == last.c.attempt))
        .outerjoin(results, results.c.call_id == calls.c.call_id)
        .where(calls.c.run == run)
        .order_by(calls.c.reserved_at, calls.c.call_id)
    )
    return _rows(connection, query)


def _call_row(connection: Connection, row: Columns) -> CallRow:
    used = select(consumed_approvals.c.jti).where(consumed_approvals.c.call_id == row["call_id"])
    finished = row["finished_at"]
    return CallRow(
        call_id=row["call_id"],
        run=row["run"],
        call_digest=row["call_digest"],
        verdict=row["verdict"],
        rule=row["rule"],
        bundle=row["bundle"],
        request=row["request"],
        approvals=tuple(connection.execute(used.order_by(consumed_approvals.c.jti)).scalars()),
        attempt=row["attempt"],
        executor=row["executor"],
        reserved_at=datetime.fromisoformat(row["reserved_at"]),
        attempted_at=datetime.fromisoformat(row["attempted_at"]),
        finished_at=datetime.fromisoformat(finished) if finished else None,
        result=row["result"],
        receipt=row["receipt"] or "",
        workspace_before=row["workspace_before"] or "",
        workspace_after=row["workspace_after"] or "",
    )


def _unknown(connection: Connection, what: str, name: str, table: Table, column: str, listing: str) -> InvalidInput:
    key = table.c[column]
    near = or_(key.startswith(name, autoescape=True), key.contains(name, autoescape=True))
    named = list(connection.execute(select(key).where(near).order_by(key).limit(4)).scalars()) if name else []
    if not named:
        names = list(connection.execute(select(key).order_by(key.desc()).limit(_NAMES_COMPARED)).scalars())
        named = get_close_matches(name, names, n=3)
    meant = f"; did you mean {', '.join(map(repr, named[:3]))}?" if named else ""
    return InvalidInput(f"there is no {what} {name!r}{meant}", next_step=listing)
