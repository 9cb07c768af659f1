"""Read models as database columns and back. Equal rows give equal columns, so that they can be compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from interlock.audit.rows import ApprovalRow, RunRow, VoteRow
from interlock.digest import canonical
from interlock.errors import IntegrityError

_RUN_TIMES: Final = ("started_at", "updated_at", "ended_at")
_APPROVAL_TIMES: Final = ("requested_at", "expires_at", "ends_at", "decided_at")


def iso(time: datetime) -> str:
    """UTC with microseconds: one text for one moment, and it sorts."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def now() -> datetime:
    """The ledger's own clock, for what is not part of a chain."""
    return datetime.now(UTC)


def plain(text: str) -> str:
    """`text` without NUL, which PostgreSQL's text cannot hold; the event itself keeps its bytes."""
    return text.replace("\x00", "\N{SYMBOL FOR NULL}")


def run_columns(row: RunRow) -> dict[str, Any]:
    """A row of table `runs`."""
    return _columns(row, RunRow.__slots__, _RUN_TIMES)


def run_row(columns: Mapping[str, Any]) -> RunRow:
    """Read a row of table `runs`.

    Raises:
        IntegrityError: somebody wrote what this code never writes.
    """
    try:
        return RunRow(**_times(columns, _RUN_TIMES))
    except (ValueError, TypeError) as error:
        raise IntegrityError(f"row {columns['run']!r} of table runs was altered: {error}") from error


def approval_columns(row: ApprovalRow) -> dict[str, Any]:
    """A row of table `approvals`."""
    columns = _columns(row, ApprovalRow.__slots__, _APPROVAL_TIMES)
    votes = [_columns(vote, VoteRow.__slots__, ("at",)) for vote in row.votes]
    return columns | {"approvers": canonical(row.approvers).decode(), "votes": canonical(votes).decode()}


def approval_row(columns: Mapping[str, Any]) -> ApprovalRow:
    """Read a row of table `approvals`.

    Raises:
        IntegrityError: somebody wrote what this code never writes.
    """
    try:
        values = _times(columns, _APPROVAL_TIMES)
        values["approvers"] = tuple(json.loads(values["approvers"]))
        values["votes"] = tuple(VoteRow(**_times(vote, ("at",))) for vote in json.loads(values["votes"]))
        return ApprovalRow(**values)
    except (ValueError, TypeError, KeyError) as error:
        raise IntegrityError(f"row {columns['request_id']!r} of table approvals was altered: {error}") from error


def _columns(row: object, names: tuple[str, ...], times: tuple[str, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in names:
        value = getattr(row, name)
        if name in times:
            value = value and iso(value)
        values[name] = plain(value) if isinstance(value, str) else value
    return values


def _times(columns: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    values = dict(columns)
    for name in names:
        values[name] = values[name] and datetime.fromisoformat(values[name])
    return values
