"""Standing grants: made by an event, used once a number, ended by a statement. Rows are only ever added."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select

from interlock.audit.codec import iso, now
from interlock.audit.rows import GrantRow, GrantUse
from interlock.audit.tables import grant_revocations, grant_uses, grants
from interlock.errors import Conflict, InvalidInput
from interlock.events import Event, GrantMade


def made(connection: Connection, tenant: str, events: Iterable[Event]) -> None:
    """Keep the grants that these events make."""
    for event in events:
        if isinstance(event, GrantMade):
            own = {name: getattr(event, name) for name in ("run", "request_id", "by", "agent", "tool", "token")}
            row = {**own, "grant_id": event.grant, "tenant": tenant, "made_at": iso(event.time)}
            connection.execute(insert(grants), row)


def use(connection: Connection, grant: str, call_id: str, most: int) -> int | None:
    """Count one use for a call; its number, or None where all are used or the grant is revoked. A call that used it
    before gets the same number. The caller holds the grant's lock.

    Raises:
        Conflict: the call used another grant.
    """
    if (known := used_by(connection, call_id)) is not None:
        if known.grant != grant:
            raise Conflict(f"call {call_id!r} used grant {known.grant!r}")
        return known.number
    if _revoked(connection, grant):
        return None
    number = connection.execute(select(func.count()).where(grant_uses.c.grant_id == grant)).scalar_one() + 1
    if number > most:
        return None
    row = {"grant_id": grant, "number": number, "call_id": call_id, "used_at": iso(now())}
    connection.execute(insert(grant_uses), row)
    return number


def used_by(connection: Connection, call_id: str) -> GrantUse | None:
    """The grant that a call used, if one."""
    row = connection.execute(select(grant_uses).where(grant_uses.c.call_id == call_id)).first()
    return GrantUse(row.grant_id, row.number, row.call_id) if row else None


def revoke(connection: Connection, grant: str, by: str, token: str, reason: str) -> GrantRow:
    """End a grant. The caller holds its lock.

    Raises:
        InvalidInput: there is no such grant. Conflict: it was revoked before.
    """
    row = one(connection, grant)
    if row.revoked_by:
        raise Conflict(f"grant {grant!r} was revoked by {row.revoked_by} at {row.revoked_at}")
    values = {"grant_id": grant, "by": by, "token": token, "reason": reason, "revoked_at": iso(now())}
    connection.execute(insert(grant_revocations), values)
    return one(connection, grant)


def one(connection: Connection, grant: str) -> GrantRow:
    """One grant. Raises InvalidInput where there is none of this id."""
    row = connection.execute(_rows().where(grants.c.grant_id == grant)).first()
    if row is None:
        raise InvalidInput(f"there is no grant {grant!r}", next_step="interlock approval grants")
    return _row(row)


def of_calls(connection: Connection, tenant: str, agent: str, tool: str) -> list[GrantRow]:
    """Those for calls of a tool by an agent that nobody revoked, oldest first."""
    query = _rows().where(grants.c.tenant == tenant, grants.c.agent == agent, grants.c.tool == tool)
    return [row for row in map(_row, connection.execute(query)) if not row.revoked_by]


def all_of(connection: Connection, tenant: str) -> list[GrantRow]:
    """A tenant's grants, oldest first; ended ones too."""
    return [_row(row) for row in connection.execute(_rows().where(grants.c.tenant == tenant))]


def _revoked(connection: Connection, grant: str) -> bool:
    query = select(grant_revocations.c.grant_id).where(grant_revocations.c.grant_id == grant)
    return connection.execute(query).first() is not None


def _rows() -> Select[Any]:
    used = select(func.count()).where(grant_uses.c.grant_id == grants.c.grant_id).scalar_subquery()
    ended = grant_revocations.c
    return (
        select(grants, used.label("used"), ended.by.label("revoked_by"), ended.revoked_at)
        .outerjoin(grant_revocations, ended.grant_id == grants.c.grant_id)
        .order_by(grants.c.made_at, grants.c.grant_id)
    )


def _row(row: Any) -> GrantRow:
    return GrantRow(
        grant=row.grant_id,
        tenant=row.tenant,
        run=row.run,
        request_id=row.request_id,
        by=row.by,
        agent=row.agent,
        tool=row.tool,
        token=row.token,
        made_at=row.made_at,
        used=row.used,
        revoked_by=row.revoked_by or "",
        revoked_at=row.revoked_at or "",
    )
