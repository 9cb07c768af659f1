"""How far each run's events were turned into notifications. It moves together with the rows that they became."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from interlock.database import Store
from interlock.notifications.outbox import pages
from interlock.notifications.tables import run_cursors

_PAGE: Final = 400
_BEGUN: Final = ""
"""The row of no run, which says that all were looked at once."""


@dataclass(frozen=True, slots=True)
class RunCursor:
    """How many events of a run were read, and whether it had ended by then."""

    run: str
    count: int
    ended: bool


class Cursors:
    """The cursors of one outbox."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begun(self) -> bool:
        """Whether this outbox has looked at the ledger before."""
        with self._store.read() as connection:
            found = connection.execute(select(run_cursors.c.run).where(run_cursors.c.run == _BEGUN))
            return found.first() is not None

    def begin(self) -> None:
        """What there was before was passed over."""
        with self._store.write() as connection:
            self.move(connection, [RunCursor(_BEGUN, 0, True)])

    def open(self) -> list[str]:
        """Runs that had not ended when they were read last."""
        query = select(run_cursors.c.run).where(run_cursors.c.ended.is_(False))
        with self._store.read() as connection:
            return list(connection.execute(query).scalars())

    def of(self, runs: Sequence[str] | None) -> dict[str, int]:
        """Run → how many of its events were read; of every run with None. Unknown runs are left out."""
        query = select(run_cursors.c.run, run_cursors.c.count.label("read"))
        found: dict[str, int] = {}
        with self._store.read() as connection:
            if runs is None:
                return {row.run: row.read for row in connection.execute(query) if row.run != _BEGUN}
            for page in pages(runs, _PAGE):
                rows = connection.execute(query.where(run_cursors.c.run.in_(page)))
                found |= {row.run: row.read for row in rows}
        return found

    def move(self, connection: Connection, cursors: Sequence[RunCursor]) -> None:
        """Move cursors forward within a transaction; never back, should another process be ahead."""
        if not cursors:
            return
        insert = (sqlite.insert if self._store.sqlite else postgresql.insert)(run_cursors)
        moved = insert.on_conflict_do_update(
            index_elements=[run_cursors.c.run],
            set_={"count": insert.excluded.count, "ended": insert.excluded.ended},
            where=run_cursors.c.count < insert.excluded.count,
        )
        connection.execute(moved, [asdict(cursor) for cursor in cursors])
