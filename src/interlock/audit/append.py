"""Storing events: the only code that inserts them, and the read models that move with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, or_, select, update

from interlock.audit.alarms import Alarming
from interlock.audit.codec import approval_columns, approval_row, run_columns, run_row
from interlock.audit.erasures import erasure
from interlock.audit.grants import made
from interlock.audit.projection import TOUCHES_APPROVALS, Projection
from interlock.audit.rows import EMPTY, ApprovalRow, Head, RunRow
from interlock.audit.tables import approvals, events, runs, workspaces
from interlock.digest import canonical
from interlock.errors import Conflict, IntegrityError
from interlock.events import Event, RunErased, RunStarted, check_chain

_HEAD: Final = (
    select(events.c.seq, events.c.hash)
    .where(events.c.run == bindparam("wanted"))
    .order_by(events.c.seq.desc())
    .limit(1)
)
_STORED: Final = select(events.c.seq, events.c.body).where(
    events.c.run == bindparam("wanted"), events.c.seq.between(bindparam("first"), bindparam("last"))
)
_RUN: Final = select(runs).where(runs.c.run == bindparam("wanted"))
_OPEN: Final = or_(approvals.c.state == "pending", approvals.c.state == "approved")
_APPROVALS: Final = select(approvals).where(
    approvals.c.run == bindparam("wanted"),
    or_(_OPEN, approvals.c.request_id.in_(bindparam("named", expanding=True))),
)
_OPEN_APPROVALS: Final = select(approvals).where(approvals.c.run == bindparam("wanted"), _OPEN)
"""The same where none is named, as at the end of each call: a list of values is written out anew each time."""
_INSERT: Final = insert(events)
_UPDATE_RUN: Final = update(runs).where(runs.c.run == bindparam("wanted"))


def body(event: Event) -> bytes:
    """The canonical bytes of an event, its hash included: what is stored."""
    return canonical(event.model_dump(mode="json"))


def head(connection: Connection, run: str) -> Head:
    """Where the stored chain of `run` ends."""
    last = connection.execute(_HEAD, {"wanted": run}).first()
    return Head(last.seq + 1, last.hash) if last else EMPTY


def stored_run(connection: Connection, run: str) -> RunRow | None:
    """The read model of `run`, if it has one."""
    row = connection.execute(_RUN, {"wanted": run}).first()
    return run_row(row._asdict()) if row else None


def append(connection: Connection, run: str, batch: Sequence[Event]) -> Head:
    """Store what of `batch` is not stored yet. The caller holds the run's lock.

    Raises:
        Alarming: an event differs from the stored one, or does not continue the chain.
        Conflict: the run has ended.
        IntegrityError: events before these are missing.
    """
    at = head(connection, run)
    old = [event for event in batch if event.seq < at.count]
    new = [event for event in batch if event.seq >= at.count]
    if old:
        _check_stored(connection, run, old)
    if not new:
        return at
    before = stored_run(connection, run)
    _check_new(connection, run, new, at, before)
    _project(connection, run, new, before)
    made(connection, new[0].tenant if isinstance(new[0], RunStarted) else before.tenant if before else "", new)
    connection.execute(_INSERT, [_columns(event) for event in new])
    return Head(new[-1].seq + 1, new[-1].hash)


def _columns(event: Event) -> dict[str, Any]:
    return {
        "run": event.run,
        "seq": event.seq,
        "kind": event.kind,
        "hash": event.hash,
        "body": body(event),
    }


def _check_stored(connection: Connection, run: str, old: Sequence[Event]) -> None:
    span = {"wanted": run, "first": min(e.seq for e in old), "last": max(e.seq for e in old)}
    stored = {row.seq: bytes(row.body) for row in connection.execute(_STORED, span)}
    for event in old:
        if stored.get(event.seq) != body(event):
            raise Alarming(
                "event.altered",
                IntegrityError(
                    f"event {event.seq} ({event.kind}) of run {run!r}: the ledger holds another event there",
                    next_step=f"interlock replay {run}",
                ),
            )


def _check_new(connection: Connection, run: str, new: Sequence[Event], at: Head, before: RunRow | None) -> None:
    if new[0].seq > at.count:
        raise IntegrityError(
            f"event {new[0].seq} ({new[0].kind}) of run {run!r}: events {at.count} to {new[0].seq - 1} are missing",
            next_step="append those first",
        )
    # Only its erasure is recorded after a run's end, and that once.
    may_follow = isinstance(new[0], RunErased) and len(new) == 1 and erasure(connection, run) is None
    if before and before.ended and not may_follow:
        raise Conflict(
            f"run {run!r} ended ({before.status}) with {at.count} events; "
            f"event {new[0].seq} ({new[0].kind}) is refused"
        )
    try:
        check_chain(list(new), run=run, seq=at.count, prev=at.hash)
    except IntegrityError as error:
        raise Alarming("event.forged", error) from error


def _project(connection: Connection, run: str, new: Sequence[Event], before: RunRow | None) -> None:
    known = _open_approvals(connection, run, new)
    projection = Projection(before, known.values())
    try:
        for event in new:
            projection.apply(event)
    except IntegrityError as error:
        raise Alarming("event.forged", error) from error
    assert projection.run is not None
    columns = run_columns(projection.run)
    if before:
        connection.execute(_UPDATE_RUN, {"wanted": run, **columns})
    else:
        connection.execute(insert(runs), columns)
    if isinstance(new[0], RunStarted):
        start = {"run": run, "version": 0, "digest": new[0].workspace, "call_id": ""}
        connection.execute(insert(workspaces), start)
    for request_id in sorted(projection.changed):
        _store_approval(connection, projection.approvals[request_id], known=request_id in known)


def _open_approvals(connection: Connection, run: str, new: Sequence[Event]) -> dict[str, ApprovalRow]:
    touching = [event for event in new if isinstance(event, TOUCHES_APPROVALS)]
    if not touching:
        return {}
    named = {request_id for event in touching if (request_id := getattr(event, "request_id", ""))}
    if named:
        rows = connection.execute(_APPROVALS, {"wanted": run, "named": sorted(named)})
    else:
        rows = connection.execute(_OPEN_APPROVALS, {"wanted": run})
    return {row.request_id: approval_row(row._asdict()) for row in rows}


def _store_approval(connection: Connection, row: ApprovalRow, *, known: bool) -> None:
    columns = approval_columns(row)
    if known:
        connection.execute(update(approvals).where(approvals.c.request_id == row.request_id), columns)
    else:
        connection.execute(insert(approvals), columns)
