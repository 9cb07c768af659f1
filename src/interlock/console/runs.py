"""Runs: found by what they are, a page at a time."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from interlock.api.caller import Caller
from interlock.api.permission import may
from interlock.api.services import Services, services
from interlock.audit import RunStatus
from interlock.console.pages import page
from interlock.errors import InvalidInput

router = APIRouter(prefix="/runs", include_in_schema=False)
Reader = Annotated[Caller, Depends(may("runs", "read"))]
Held = Annotated[Services, Depends(services)]
STATUSES = get_args(RunStatus)
_PAGE = 50


@router.get("")
def runs(
    request: Request,
    who: Reader,
    held: Held,
    status: str = "",
    workflow: str = "",
    person: str = "",
    text: str = "",
    before: str = "",
) -> Response:
    """Runs that fit, newest first."""
    if status and status not in STATUSES:
        raise InvalidInput(f"status: {status!r} is none of {', '.join(STATUSES)}")
    wanted: Any = status or None
    whom = person if not person or ":" in person else f"user:{person}"
    rows = held.ledger.find_runs(
        _PAGE + 1,
        before,
        tenant=who.tenant,
        status=wanted,
        workflow=workflow.strip(),
        requester=whom.strip(),
        text=text.strip(),
    )
    asked = {"status": status, "workflow": workflow, "person": person, "text": text}
    return page(
        request,
        "runs.html",
        who,
        here="Runs",
        rows=rows[:_PAGE],
        statuses=STATUSES,
        asked=asked,
        given={name: value for name, value in asked.items() if value},
        more=rows[_PAGE - 1].cursor if len(rows) > _PAGE else "",
        first=not before,
    )
