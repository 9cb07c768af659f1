"""What really happened after a decision: the end of the call, its output and the files that it changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from interlock.approval.changes import FileChange, workspace_changes
from interlock.approval.visible import visible
from interlock.errors import InterlockError
from interlock.events import (
    ApprovalRequested,
    CallDecided,
    CallFinished,
    CallProposed,
    CallRefused,
    CallUnknown,
    EgressRequested,
    Event,
    RunEnded,
    RunStarted,
)
from interlock.run.files import load_tree
from interlock.types.blobs import Blobs
from interlock.types.call import Artifact

SHOWN: Final = 64 * 1024
"""Characters of an output on a page; a longer one says how much is missing and where it is whole."""


@dataclass(frozen=True)
class Outcome:
    """The end of one call."""

    status: str
    """`ok` and the like; `refused`; `unknown`; empty while there is none."""
    text: str = ""
    """What the agent read, made visible."""
    missing: int = 0
    """Characters of it that are not shown."""
    changes: tuple[FileChange, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    requests: tuple[str, ...] = ()
    """What left the sandbox, and what became of it."""
    receipt: str = ""


@dataclass(frozen=True)
class Edited:
    """The call that took the place of an edited one."""

    call_id: str
    verdict: str
    rule: str
    request_id: str
    outcome: Outcome


def outcome(events: Sequence[Event], call_id: str, blobs: Blobs) -> Outcome:
    """What became of a call, as far as it is on record."""
    requests: list[str] = []
    for event in events:
        match event:
            case EgressRequested() if event.call_id == call_id:
                requests.append(f"{event.request.asked}: {event.request.verdict} {event.request.reason}".strip())
            case CallFinished() if event.call_id == call_id:
                return _finished(event, files_before(event, events), tuple(requests), blobs)
            case CallRefused() if event.call_id == call_id:
                return _text(f"refused by {event.by}", event.detail)
            case CallUnknown() if event.call_id == call_id:
                return _text("unknown", event.reason)
            case RunEnded():
                return _text(f"the run {event.status}", event.detail)
            case _:
                pass
    return Outcome("")


def edited(events: Sequence[Event], call_id: str, blobs: Blobs) -> Edited | None:
    """The call into which an approver edited this one; None where nobody did."""
    new = next((e.call_id for e in events if isinstance(e, CallProposed) and e.edited_from == call_id), "")
    if not new:
        return None
    decided = [e for e in events if isinstance(e, CallDecided) and e.call_id == new]
    asked = [e for e in events if isinstance(e, ApprovalRequested) and e.call_id == new]
    return Edited(
        call_id=new,
        verdict=decided[-1].verdict if decided else "",
        rule=decided[-1].rule if decided else "",
        request_id=asked[-1].request_id if asked else "",
        outcome=outcome(events, new, blobs),
    )


def _finished(event: CallFinished, before: str, requests: tuple[str, ...], blobs: Blobs) -> Outcome:
    told = _text(event.status, read(event.output, blobs))
    return Outcome(
        status=told.status,
        text=told.text,
        missing=told.missing,
        changes=changed(before, event.workspace, blobs),
        artifacts=event.artifacts,
        requests=requests,
        receipt=event.receipt,
    )


def files_before(finished: CallFinished, events: Sequence[Event]) -> str:
    """Digest of the run's files before a call ended."""
    found = ""
    for event in events:
        if event.seq == finished.seq:
            break
        if isinstance(event, RunStarted | CallFinished):
            found = event.workspace
    return found


def changed(before: str, after: str, blobs: Blobs) -> tuple[FileChange, ...]:
    """The files that a call changed; none where their content is gone."""
    if not after or before == after:
        return ()
    try:
        return workspace_changes(load_tree(before, blobs), load_tree(after, blobs), blobs)
    except InterlockError:
        return ()


def read(digest: str, blobs: Blobs) -> str:
    """Content as text; of what cannot be read, why."""
    if not digest:
        return ""
    try:
        data = blobs.get(digest)
    except InterlockError as error:
        return f"(not readable: {error.reason})"
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return f"({len(data)} bytes that are no text)"


def _text(status: str, text: str) -> Outcome:
    return Outcome(status, visible(text[:SHOWN]), max(0, len(text) - SHOWN))
