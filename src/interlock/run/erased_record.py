"""What still proves itself of an erased run: the signatures, which need no content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from interlock.approval import ApprovalClaims, ControlClaims, RequesterClaims, SignalClaims
from interlock.errors import InterlockError, InvalidInput
from interlock.events import (
    ApprovalDecided,
    CallFinished,
    Event,
    RunCancelled,
    RunErased,
    RunPaused,
    RunResumed,
    RunStarted,
    SignalReceived,
)
from interlock.run.erasure import check_erasure
from interlock.run.proof import Sources
from interlock.run.receipt import Receipt
from interlock.run.votes import same


def signatures(recorded: Sequence[Event], sources: Sources) -> Iterator[tuple[Event, str]]:
    """Each event whose signed statement is missing, forged, or says something else; and how."""
    tenant = next((event.tenant for event in recorded if isinstance(event, RunStarted)), "")
    for event in recorded:
        try:
            _check(event, tenant, sources)
        except (InterlockError, ValueError, TypeError, OverflowError) as error:
            yield event, str(error)[:2000]


def _check(event: Event, tenant: str, sources: Sources) -> None:
    match event:
        case RunStarted():
            _started(event, sources)
        case ApprovalDecided():
            claims = ApprovalClaims.read(sources.api, event.token, now=event.time)
            _same(event, claims, "run", "verdict", "message", "edited", request_id="request", approver="sub")
        case SignalReceived():
            _same(
                event, SignalClaims.read(sources.api, event.token, now=event.time), "run", "name", "value", by="sub"
            )
        case RunPaused() | RunResumed() | RunCancelled():
            _controlled(event, sources)
        case CallFinished():
            receipt = Receipt.found(sources.executor, sources.blobs, event.receipt)
            _same(
                event, receipt, "run", "call_id", "status", "output", "workspace", "artifacts", call_digest="call"
            )
        case RunErased():
            check_erasure(event, sources.api, tenant)


def _started(event: RunStarted, sources: Sources) -> None:
    if event.parent:
        return  # handed on by an executor: what it signed is checked with the parent's record
    claims = RequesterClaims.read(sources.api, event.requester_token, now=None)
    _same(event, claims, "run", "tenant", "workflow", "manifest", "input", "workspace", requester="sub")


def _controlled(event: RunPaused | RunResumed | RunCancelled, sources: Sources) -> None:
    if isinstance(event, RunCancelled) and event.by == "temporal" and not event.token:
        return
    claims = ControlClaims.read(sources.api, event.token, now=event.time)
    _same(event, claims, "run", by="sub")
    verbs = {"run.paused": "pause", "run.resumed": "resume", "run.cancelled": "cancel"}
    if claims.verb != verbs[event.kind]:
        raise InvalidInput(f"verb: {claims.verb!r} was signed")


def _same(event: Event, signed: object, *fields: str, **named: str) -> None:
    for field, name in {**{field: field for field in fields}, **named}.items():
        same(field, getattr(event, field), getattr(signed, name))
