"""What the ledger knows of erasures: the event says by whom, when and why."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError
from sqlalchemy import Connection, bindparam, select

from interlock.audit.tables import events
from interlock.errors import IntegrityError
from interlock.events import RunErased

_OF_ALL: Final = select(events.c.run).where(events.c.kind == "run.erased").order_by(events.c.run)
_OF_RUN: Final = select(events.c.body).where(events.c.kind == "run.erased", events.c.run == bindparam("wanted"))


def erasure(connection: Connection, run: str) -> RunErased | None:
    """The event of a run's erasure; None where it was not erased.

    Raises:
        IntegrityError: the stored bytes are no such event.
    """
    stored = connection.execute(_OF_RUN, {"wanted": run}).scalar()
    try:
        return None if stored is None else RunErased.model_validate_json(bytes(stored))
    except ValidationError as error:
        raise IntegrityError(
            f"event run.erased of run {run!r} was altered: its bytes are not an event",
            next_step=f"interlock replay {run}",
        ) from error


def erased_runs(connection: Connection) -> list[str]:
    """Every run that was erased."""
    return list(connection.execute(_OF_ALL).scalars())
