"""The workspace head of a run: a list of versions that only grows, moved by compare-and-swap."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, insert, select

from interlock.audit.tables import workspaces
from interlock.errors import Conflict, InvalidInput

_HEAD: Final = (
    select(workspaces.c.version, workspaces.c.digest, workspaces.c.call_id)
    .where(workspaces.c.run == bindparam("wanted"))
    .order_by(workspaces.c.version.desc())
    .limit(1)
)


def current(connection: Connection, run: str) -> str:
    """The digest of the run's workspace now, or empty.

    Raises:
        InvalidInput: the ledger does not know the run.
    """
    row = connection.execute(_HEAD, {"wanted": run}).first()
    if row is None:
        raise InvalidInput(f"run {run!r} is not in the ledger", next_step="interlock run list")
    return str(row.digest)


def move(connection: Connection, run: str, call_id: str, before: str, after: str) -> None:
    """Move the head from `before` to `after`, for `call_id`.

    Raises:
        Conflict: the head is not `before`: another call changed the files meanwhile.
    """
    row = connection.execute(_HEAD, {"wanted": run}).first()
    if row is None or row.digest != before:
        at = f"{row.digest!r}, moved by {row.call_id or 'the start of the run'!r}" if row else "unknown"
        raise Conflict(
            f"workspace of run {run!r} is at {at}; call {call_id!r} started from {before!r}",
            next_step="propose the call again on the files as they are now",
        )
    moved = {"run": run, "version": row.version + 1, "digest": after, "call_id": call_id}
    connection.execute(insert(workspaces), moved)
