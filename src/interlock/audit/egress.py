"""Requests of sandboxes to the outside world, each on record before it leaves."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, insert, select

from interlock.audit.tables import calls, egress
from interlock.digest import canonical, parse
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


def add(connection: Connection, call_id: str, record: EgressRecord) -> None:
    """Note a request that is about to leave, or was refused."""
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
