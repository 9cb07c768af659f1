"""What waits for people, as the inbox lists it: what waits for the one who looks comes first.

A line of the inbox is a read model that whoever writes to the database could have altered; it is there to be
opened. What is decided on is the card, which is computed from verified events.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cachetools import TTLCache

from interlock.approval.visible import shortened
from interlock.audit import ApprovalRow
from interlock.console.standing import Standing, standing
from interlock.errors import InterlockError, InvalidInput
from interlock.types.blobs import BlobStore

PAGE: Final = 50
_PEEK: Final = 160
_KEPT_S: Final = 300
Shape = tuple[str, ...]
_lock = threading.Lock()
_peeks: TTLCache[tuple[str, str], str] = TTLCache(maxsize=2_000, ttl=_KEPT_S)


@dataclass(frozen=True)
class Waiting:
    """One line of the inbox."""

    row: ApprovalRow
    standing: Standing
    peek: str
    """The beginning of the arguments, as they are on record."""


@dataclass(frozen=True)
class Inbox:
    """A page of it."""

    mine: tuple[Waiting, ...]
    others: tuple[Waiting, ...]
    mine_in_all: int
    others_in_all: int
    alike: tuple[tuple[str, str, int], ...]
    """Calls of one shape that wait for the one who looks: one of them, its tool, how many."""
    after: str
    """Where the next page begins; empty on the last one."""


def shape(row: ApprovalRow) -> Shape:
    """What calls have in common that may be decided together: all but their arguments and files."""
    return (row.kind, row.tool, row.agent, row.rule, row.route, row.stage, *row.approvers)


def inbox(
    rows: Sequence[ApprovalRow],
    person: str,
    tenant: str,
    blobs: BlobStore,
    *,
    now: datetime,
    after: str = "",
    away: Collection[str] = (),
) -> Inbox:
    """The page behind `after`; `away` are those for whom the person decides as their deputy.

    Raises:
        InvalidInput: `after` is not a cursor.
    """
    own = [(row, standing(row, person, now, away)) for row in rows if row.tenant == tenant]
    ordered = sorted(own, key=lambda one: _place(*one))
    count = Counter(shape(row) for row, stands in own if stands.may and row.kind == "call")
    first = {shape(row): row for row, _ in reversed(ordered)}
    behind = [one for one in ordered if not after or _place(*one) > _read(after)]
    shown = behind[:PAGE]
    lines = [Waiting(row, stands, _peek(row, blobs)) for row, stands in shown]
    mine = sum(stands.may for _, stands in own)
    return Inbox(
        mine=tuple(one for one in lines if one.standing.may),
        others=tuple(one for one in lines if not one.standing.may),
        mine_in_all=mine,
        others_in_all=len(own) - mine,
        alike=tuple((first[one].request_id, first[one].tool, n) for one, n in count.items() if n > 1),
        after="|".join(_place(*shown[-1])) if len(behind) > PAGE else "",
    )


def _place(row: ApprovalRow, stands: Standing) -> tuple[str, str, str]:
    """Mine first, the nearest deadline first."""
    return ("0" if stands.may else "1", row.expires_at.isoformat(timespec="microseconds"), row.request_id)


def _read(after: str) -> tuple[str, str, str]:
    parts = after.split("|")
    if len(parts) != 3:
        raise InvalidInput("after: not a cursor", next_step="begin with the first page of the inbox")
    return parts[0], parts[1], parts[2]


def _peek(row: ApprovalRow, blobs: BlobStore) -> str:
    """The beginning of a request's arguments. By digest, so that it stays true for as long as it is kept."""
    key = (row.run, row.subject)
    with _lock:
        found = _peeks.get(key)
    if found is not None:
        return found
    try:
        data = blobs.of(row.run).get(row.subject) if row.subject else b""
    except InterlockError:
        return ""
    text = shortened(data[: 8 * _PEEK].decode("utf-8", "replace"), _PEEK) if data != b"{}" else ""
    with _lock:
        _peeks[key] = text
    return text
