"""How long the chains of runs are: what tells a reader which runs went on since it looked last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from interlock.audit.tables import runs

_PAGE: Final = 400


class RunLength(NamedTuple):
    """One run's chain."""

    run: str
    events: int
    ended: bool


def lengths(
    connection: Connection, tenant: str, names: Sequence[str] | None = None, newest: int | None = None
) -> list[RunLength]:
    """The chains of a tenant's runs: of those named, of the newest, or with neither of all."""
    query = select(runs.c.run, runs.c.count.label("events"), runs.c.ended_at).where(runs.c.tenant == tenant)
    if newest is not None:
        query = query.order_by(runs.c.started_at.desc(), runs.c.run.desc()).limit(newest)
    if names is None:
        queries = [query]
    else:
        queries = [query.where(runs.c.run.in_(names[at : at + _PAGE])) for at in range(0, len(names), _PAGE)]
    return [
        RunLength(row.run, row.events, row.ended_at is not None)
        for one in queries
        for row in connection.execute(one)
    ]
