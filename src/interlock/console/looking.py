"""Runs and requests by id, for somebody of one tenant: what another tenant has looks like what is not there."""

from __future__ import annotations

from interlock.api.caller import Caller
from interlock.api.problems import NotFound
from interlock.api.services import Services
from interlock.audit import ApprovalRow, RunRow
from interlock.errors import InvalidInput


def request_of(held: Services, who: Caller, request_id: str) -> ApprovalRow:
    """An approval request. Raises NotFound."""
    try:
        row = held.ledger.approval(request_id)
    except InvalidInput:
        row = None
    if row is None or row.tenant != who.tenant:
        raise NotFound(f"there is no request {request_id!r}", next_step="open the inbox to see what waits")
    return row


def run_of(held: Services, who: Caller, run: str) -> RunRow:
    """A run. Raises NotFound."""
    try:
        row = held.ledger.run(run)
    except InvalidInput:
        row = None
    if row is None or row.tenant != who.tenant:
        raise NotFound(
            f"there is no run {run!r} on record", next_step="one that has just started may come in a moment"
        )
    return row
