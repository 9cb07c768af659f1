"""Requests of sandboxes to the outside world, each on record before it leaves."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, func, insert, select

from interlock.audit.tables import attempts, calls, egress
from interlock.digest import canonical, parse
from interlock.errors import Conflict
from interlock.types.egress import EgressRecord

_OF_RUN: Final = (
    select(egress.c.call_id, egress.c.request)
    .join(calls, calls.c.call_id == egress.c.call_id)
    .where(calls.c.run == bindparam("wanted"))
    .order_by(egress.c.call_id, egress.c.attempt, egress.c.number)
)
_OF_CALL: Final = (
    select(egress.c.request)
    .where(egress.c.call_id == bindparam("wanted"))
    .order_by(egress.c.attempt, egress.c.number)
)
_IN_FORCE: Final = select(func.max(attempts.c.attempt)).where(attempts.c.call_id == bindparam("wanted"))


def add(connection: Connection, call_id: str, record: EgressRecord) -> None:
    """Note a request that is about to leave, or was refused. The caller holds the call's lock.

    Raises:
        Conflict: a later attempt at the call is in force.
    """
    if (in_force := connection.execute(_IN_FORCE, {"wanted": call_id}).scalar() or 0) > record.attempt:
        reason = f"attempt {in_force} at call {call_id!r} is in force; a request of attempt {record.attempt} stays"
        raise Conflict(reason)
    row = {"call_id": call_id, "attempt": record.attempt, "number": record.number}
    connection.execute(insert(egress), {**row, "request": canonical(record.model_dump(mode="json"))})


def of_call(connection: Connection, call_id: str) -> list[EgressRecord]:
    """Every request that a call's attempts made, as it stood when it was noted."""
    rows = connection.execute(_OF_CALL, {"wanted": call_id})
    return [EgressRecord.model_validate(parse(row.request)) for row in rows]


def of_run(connection: Connection, run: str) -> list[tuple[str, EgressRecord]]:
    """The same of every call of a run, with the call's id."""
    rows = connection.execute(_OF_RUN, {"wanted": run})
    return [(row.call_id, EgressRecord.model_validate(parse(row.request))) for row in rows]
