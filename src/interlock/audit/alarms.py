"""Alarms: what no honest part does, kept even though the transaction that met it is rolled back."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select

from interlock.audit.codec import iso, now, plain
from interlock.audit.rows import Alarm
from interlock.audit.tables import alarms
from interlock.database import Store
from interlock.digest import digest_of
from interlock.errors import InterlockError

MAX_DETAIL: Final = 2_000


class Alarming(Exception):
    """Carries an error to where the transaction is over: there an alarm is stored and `error` raised."""

    def __init__(self, kind: str, error: InterlockError) -> None:
        super().__init__(str(error))
        self.kind = kind
        self.error = error


def raise_alarm(store: Store, run: str, kind: str, detail: str) -> None:
    """Store an alarm in a transaction of its own; the same one again changes nothing."""
    run, kind, detail = plain(run)[:MAX_DETAIL], plain(kind), plain(detail)[:MAX_DETAIL]
    alarm_id = digest_of([run, kind, detail])
    with store.write() as connection:
        store.lock(connection, f"alarm {alarm_id}")
        if not connection.execute(select(alarms.c.alarm_id).where(alarms.c.alarm_id == alarm_id)).first():
            row = {"alarm_id": alarm_id, "run": run, "kind": kind, "detail": detail, "raised_at": iso(now())}
            connection.execute(insert(alarms), row)


def read_alarms(connection: Connection, run: str | None) -> list[Alarm]:
    """Alarms of one run or of all, oldest first."""
    query = select(alarms.c.run, alarms.c.kind, alarms.c.detail, alarms.c.raised_at)
    if run is not None:
        query = query.where(alarms.c.run == run)
    rows = connection.execute(query.order_by(alarms.c.raised_at, alarms.c.alarm_id))
    return [Alarm(row.run, row.kind, row.detail, datetime.fromisoformat(row.raised_at)) for row in rows]
