"""What people decided before about the same tool and the same resource."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from interlock.api.services import Services
from interlock.audit import ApprovalRow
from interlock.definitions import ToolEntry
from interlock.errors import InterlockError
from interlock.run.arguments import load_arguments
from interlock.run.catalogue import resource_of

_LOOKED_AT: Final = 30
"""The newest requests about the tool; older ones are not looked at, and the page says so."""
_NAMED: Final = 8


class Precedent(NamedTuple):
    """One earlier request."""

    request_id: str
    state: str
    by: str
    at: datetime | None
    same_call: bool
    """Whether the arguments were the very same."""


class Precedents(NamedTuple):
    """Earlier requests about a resource."""

    resource: str
    found: tuple[Precedent, ...]
    looked_at: int


def precedents(held: Services, row: ApprovalRow, tool: ToolEntry) -> Precedents:
    """Those of the newest requests about the tool that were about the same resource, newest first."""
    resource = _resource(held, row, tool)
    rows = held.ledger.find_closed(_LOOKED_AT, tenant=row.tenant, tool=row.tool)
    same = [one for one in rows if one.request_id != row.request_id and _resource(held, one, tool) == resource]
    found = tuple(
        Precedent(one.request_id, one.state, one.decided_by, one.decided_at, one.subject == row.subject)
        for one in same[:_NAMED]
    )
    return Precedents(resource, found, len(rows))


def _resource(held: Services, row: ApprovalRow, tool: ToolEntry) -> str:
    try:
        return resource_of(tool, load_arguments(held.blobs.of(row.run), row.subject))
    except InterlockError:
        return ""
