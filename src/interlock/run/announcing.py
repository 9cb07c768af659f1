"""What is told of a run's events: each a fact of the ledger, under an id that is always the same.

The events are read, not proved: who looks at the page behind the link sees what was verified there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from interlock.audit import ApprovalRow, Ledger, RunRow
from interlock.digest import digest_of
from interlock.events import (
    ApprovalAdvanced,
    ApprovalDecided,
    ApprovalExpired,
    ApprovalReassigned,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalWithdrawn,
    CallRefused,
    Event,
    GrantMade,
    RunEnded,
)
from interlock.notifications import Notification

_OF_REQUESTS: Final = (
    ApprovalRequested,
    ApprovalAdvanced,
    ApprovalReminded,
    ApprovalReassigned,
    ApprovalDecided,
    ApprovalExpired,
    ApprovalWithdrawn,
    GrantMade,
)
_WITHDRAWN: Final = "approval.withdrawn"


def announced(ledger: Ledger, run: RunRow, events: Sequence[Event]) -> Iterator[Notification]:
    """The notifications that newly read events of a run give, in their order.

    Raises:
        LedgerUnavailable, IntegrityError: more of the run cannot be read.
    """
    requests: Mapping[str, ApprovalRow] | None = None
    for event in events:
        if isinstance(event, (CallRefused, RunEnded, *_OF_REQUESTS)):
            if requests is None:
                requests = {row.request_id: row for row in ledger.approvals(state=None, run=run.run)}
            if isinstance(event, CallRefused):
                yield from _withdrawn(run, event, [r for r in requests.values() if r.call_id == event.call_id])
            elif isinstance(event, RunEnded):
                yield from _withdrawn(run, event, _left_open(ledger, run, requests))
                yield from _ended(ledger, run, event)
            else:
                yield from _of_request(run, event, requests)


def still_asked(run: RunRow, events: Sequence[Event], requests: Sequence[ApprovalRow]) -> Iterator[Notification]:
    """For a project that has only now begun to notify: the requests that wait already."""
    waiting = {row.request_id: row for row in requests if row.state == "pending"}
    asked = {event.request_id: event for event in events if isinstance(event, ApprovalRequested | ApprovalAdvanced)}
    for event in asked.values():
        yield from _of_request(run, event, waiting)


def _of_request(run: RunRow, event: Event, requests: Mapping[str, ApprovalRow]) -> Iterator[Notification]:
    row = requests.get(getattr(event, "request_id", ""))
    if row is None:
        return
    match event:
        case ApprovalRequested() | ApprovalAdvanced():
            escalated = isinstance(event, ApprovalAdvanced) and event.why == "escalated"
            kind = "approval.escalated" if escalated else event.kind
            people = _others(event.approvers, row.requester)
            yield _about(run, event, row, kind, people=people, deadline=event.expires_at)
        case ApprovalReminded():
            people = _others(row.approvers, row.requester, *_decided_in(row))
            yield _about(run, event, row, event.kind, people=people, deadline=row.expires_at)
        case ApprovalReassigned():
            yield _about(run, event, row, event.kind, people=(event.to,), by=event.by, deadline=row.expires_at)
        case ApprovalDecided():
            yield from _decided(run, event, row)
        case GrantMade():
            # Who would have been asked learns that they will not be.
            people = (row.requester, *_others(row.approvers, row.requester, event.by))
            yield _about(run, event, row, event.kind, people=people, by=event.by)
        case ApprovalExpired():
            yield _about(run, event, row, event.kind, people=(row.requester,))
        case ApprovalWithdrawn():
            yield from _withdrawn(run, event, [row])


def _decided_in(row: ApprovalRow) -> list[str]:
    """Who has decided at the stage where a request is."""
    return [vote.approver for vote in row.votes if vote.stage == row.stage]


def _decided(run: RunRow, event: ApprovalDecided, row: ApprovalRow) -> Iterator[Notification]:
    if event.emergency:
        # Loudly: to everybody who was passed over.
        people = (row.requester, *_others(row.approvers, row.requester, event.approver))
        yield _about(run, event, row, "approval.overridden", people=people, by=event.approver)
    elif event.closes:
        who = {"by": event.approver, "verdict": event.verdict}
        yield _about(run, event, row, event.kind, people=(row.requester,), **who)


def _others(people: Sequence[str], *without: str) -> tuple[str, ...]:
    """The person for whom a run acts decides nothing in it, and who has decided is not asked again."""
    return tuple(person for person in people if person not in without)


def _withdrawn(run: RunRow, event: Event, rows: Sequence[ApprovalRow]) -> Iterator[Notification]:
    """To those who were asked: there is nothing left for them to do."""
    for row in rows:
        if row.state == "withdrawn":
            by = event.by if isinstance(event, ApprovalWithdrawn) else ""
            yield _about(run, event, row, _WITHDRAWN, people=_others(row.approvers, row.requester, by), by=by)


def _left_open(ledger: Ledger, run: RunRow, requests: Mapping[str, ApprovalRow]) -> list[ApprovalRow]:
    """Requests that only the run's end can have withdrawn."""
    withdrawn = [row for row in requests.values() if row.state == "withdrawn"]
    if not withdrawn:
        return []
    events = ledger.events(run.run)
    refused = {event.call_id for event in events if isinstance(event, CallRefused)}
    before = {event.request_id for event in events if isinstance(event, ApprovalWithdrawn)}
    return [row for row in withdrawn if row.call_id not in refused and row.request_id not in before]


def _ended(ledger: Ledger, run: RunRow, event: RunEnded) -> Iterator[Notification]:
    if ledger.origin(run.run) is not None:
        return  # its work was handed on to it: the run that a person started tells of the end
    kind = "run.failed" if event.status == "failed" else "run.ended"
    yield _made(run, event, (kind, event.seq, event.hash), kind=kind, status=event.status, people=(run.requester,))


def _about(run: RunRow, event: Event, row: ApprovalRow, kind: str, **more: Any) -> Notification:
    named = {
        "request": row.request_id,
        "about": row.kind,
        "agent": row.agent,
        "tool": row.tool,
        "route": row.route,
    }
    # A request is withdrawn once, whichever of its events is read first.
    place = () if kind == _WITHDRAWN else (event.seq, event.hash)
    return _made(run, event, (kind, row.request_id, *place), kind=kind, **named, **more)


def _made(run: RunRow, event: Event, fact: tuple[str | int, ...], **fields: Any) -> Notification:
    identity = digest_of([run.tenant, event.run, *fact])
    return Notification(
        event_id=f"msg_{identity.removeprefix('sha256:')[:32]}",
        time=event.time,
        tenant=run.tenant,
        run=run.run,
        workflow=run.workflow,
        requester=run.requester,
        **fields,
    )
