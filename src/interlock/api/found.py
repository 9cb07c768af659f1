"""What a person may know of: a run or a request of another tenant looks as one that never was."""

from __future__ import annotations

import asyncio

from interlock.api.caller import Caller
from interlock.api.problems import NotFound
from interlock.api.services import Services
from interlock.audit import ApprovalRow, RunRow
from interlock.errors import InvalidInput


async def run_row(held: Services, who: Caller, run: str) -> RunRow:
    """A run of the caller's tenant.

    Raises:
        NotFound: there is none of this id. No other id is suggested: it might be another tenant's.
    """
    try:
        row = await asyncio.to_thread(held.ledger.run, run)
    except InvalidInput:
        row = None
    if row is None or row.tenant != who.tenant:
        raise NotFound(f"there is no run {run!r}", next_step="GET /v1/runs")
    return row


async def approval_row(held: Services, who: Caller, request_id: str) -> ApprovalRow:
    """A request of the caller's tenant.

    Raises:
        NotFound: there is none of this id.
    """
    try:
        row = await asyncio.to_thread(held.ledger.approval, request_id)
    except InvalidInput:
        row = None
    if row is None or row.tenant != who.tenant:
        raise NotFound(f"there is no approval request {request_id!r}", next_step="GET /v1/approvals")
    return row
