"""The inbox: what waits, live, and what was decided."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from interlock.api.caller import Caller, caller
from interlock.api.permission import may, permitted
from interlock.api.services import Services, services
from interlock.audit import ApprovalRow
from interlock.audit.finding import cursor_of
from interlock.console.away import away
from interlock.console.pages import page, rendered
from interlock.console.pulse import Pulse, pulse_of, version
from interlock.console.waiting import inbox
from interlock.errors import InterlockError
from interlock.run.approver_stats import approval_stats

router = APIRouter(include_in_schema=False)
Reader = Annotated[Caller, Depends(may("approvals", "read"))]
Held = Annotated[Services, Depends(services)]
LOOK_S: Final = 15.0
"""So often at least it is looked whether the listener may still listen."""
STREAM_S: Final = 600.0
"""Then the browser asks anew."""
_PAGE: Final = 50
_MOST_DAYS: Final = 366


@router.get("/")
def waiting(request: Request, who: Reader, held: Held, after: str = "") -> Response:
    """What waits: for the one who looks first, then for others."""
    rows = pulse_of(request.app, held).waiting()
    return page(
        request,
        "inbox.html",
        who,
        here="Inbox",
        version=version(rows),
        first=not after,
        **_list(rows, who, held, after),
    )


@router.get("/inbox/events")
async def events(request: Request, who: Reader, held: Held, seen: str = "") -> Response:
    """The list again whenever it changed, as server-sent events."""
    return EventSourceResponse(_told(request, who, held, pulse_of(request.app, held), seen), ping=20)


@router.get("/inbox/decided")
def decided(request: Request, who: Reader, held: Held, before: str = "") -> Response:
    """Requests that wait no more, newest first."""
    rows = held.ledger.find_closed(_PAGE + 1, before, tenant=who.tenant)
    more = cursor_of(rows[_PAGE - 1]) if len(rows) > _PAGE else ""
    return page(request, "decided.html", who, here="Inbox", rows=rows[:_PAGE], before=more)


@router.get("/inbox/approving")
def approving(request: Request, who: Reader, held: Held, days: int = 30) -> Response:
    """How approving goes: how long people take, what they say, and what could be asked less."""
    until = datetime.now(UTC)
    since = until - timedelta(days=min(max(days, 1), _MOST_DAYS))
    stats = approval_stats(held.ledger, who.tenant, since=since, until=until)
    return page(request, "approving.html", who, here="Inbox", stats=stats, days=days)


async def _told(
    request: Request, who: Caller, held: Services, pulse: Pulse, seen: str
) -> AsyncIterator[ServerSentEvent]:
    end = asyncio.get_running_loop().time() + STREAM_S
    while asyncio.get_running_loop().time() < end:
        new = await pulse.changed(seen, within_s=LOOK_S)
        if not await _still(request, who, held):
            return
        if new:
            seen = pulse.version
            text = await asyncio.to_thread(
                lambda: rendered("waiting.html", who, first=True, **_list(pulse.rows, who, held, ""))
            )
            yield ServerSentEvent(data=text)


async def _still(request: Request, who: Caller, held: Services) -> bool:
    """Whether the listener is still signed in and may still read: either may have ended since the stream began."""
    try:
        now = await caller(request, held)
        permitted(held, now, "approvals", "read")
    except InterlockError:
        return False
    return now.person == who.person and now.tenant == who.tenant


def _list(rows: Any, who: Caller, held: Services, after: str) -> dict[str, Any]:
    found: list[ApprovalRow] = list(rows)
    now, absent = datetime.now(UTC), away(held, who)
    return {"inbox": inbox(found, who.person, who.tenant, held.blobs, now=now, after=after, away=absent)}
