"""Work that calls handed on: which run of which agent, by which statement. Rows are only ever added."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Select, func, insert, or_, select

from interlock.audit.codec import iso, now
from interlock.audit.rows import HandOffRow
from interlock.audit.tables import hand_offs
from interlock.errors import Refused

MOST: Final = 100
"""Hand-offs of one run, finished ones too."""
MOST_BELOW: Final = 1_000
"""Hand-offs of a run that a person started, and of all runs below it."""


def add(connection: Connection, row: HandOffRow, root: str) -> HandOffRow:
    """Note a hand-off before its run can start; the one on record, where the call has one already.

    The caller holds the lock of the hand-offs below `root`, the run that a person started.

    Raises:
        Refused: the run, or all below `root`, handed on as much as they may.
    """
    if known := of_call(connection, row.call_id):
        return known
    own = hand_offs.c.run == row.run
    below = or_(hand_offs.c.run == root, hand_offs.c.run.startswith(f"{root}.s", autoescape=True))
    for counted, run, most in ((own, row.run, MOST), (below, root, MOST_BELOW)):
        count = connection.execute(select(func.count()).where(counted)).scalar_one()
        if count >= most:
            also = ", with all runs below it," if run == root and most == MOST_BELOW else ""
            raise Refused(f"run {run!r}{also} has handed work on {count} times, the most that it may")
    values = {name: getattr(row, name) for name in ("call_id", "run", "child", "agent", "delegation")}
    connection.execute(insert(hand_offs), {**values, "begun_at": iso(now())})
    return row


def of_call(connection: Connection, call_id: str) -> HandOffRow | None:
    """What a call handed on."""
    return _first(connection, select(hand_offs).where(hand_offs.c.call_id == call_id))


def to(connection: Connection, child: str) -> HandOffRow | None:
    """The hand-off that a run came of; None for a run that a person started."""
    return _first(connection, select(hand_offs).where(hand_offs.c.child == child))


def by(connection: Connection, run: str) -> list[HandOffRow]:
    """What a run handed on, in the order in which it did."""
    query = select(hand_offs).where(hand_offs.c.run == run).order_by(hand_offs.c.begun_at, hand_offs.c.call_id)
    return [_row(row) for row in connection.execute(query)]


def _first(connection: Connection, query: Select[Any]) -> HandOffRow | None:
    row = connection.execute(query).first()
    return _row(row) if row else None


def _row(row: Any) -> HandOffRow:
    return HandOffRow(row.call_id, row.run, row.child, row.agent, row.delegation)
