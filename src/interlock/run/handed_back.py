"""What a run to which work was handed on gives back: its end, as its verified events tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from interlock.audit import HandOffRow
from interlock.events import GENESIS
from interlock.run.attributes import seen
from interlock.run.delegation import DelegationClaims
from interlock.types.blobs import Blobs
from interlock.types.call import CallStatus, ChildRun

if TYPE_CHECKING:
    from interlock.run.proof import RunProof


@dataclass(frozen=True)
class HandedBack:
    """The end of a hand-off."""

    status: CallStatus
    text: str
    """What the model reads."""
    workspace: str | None
    """The other run's files; None: it has none of its own."""
    child: ChildRun


def handed_back(child: RunProof, agent: str, blobs: Blobs) -> HandedBack:
    """Of a run that has ended.

    Raises:
        IntegrityError: its result is absent or altered.
    """
    end = child.end
    assert end is not None, "it has ended"
    told = _told(child, end.status)
    if end.status == "completed":
        text = blobs.get(end.result).decode("utf-8", "replace") if end.result else ""
        return HandedBack("ok", text or "(no answer)", end.workspace, told)
    status: CallStatus = "cancelled" if end.status == "cancelled" else "error"
    word = "was cancelled" if end.status == "cancelled" else "failed"
    why = f": {end.detail}" if end.detail else ""
    return HandedBack(status, f"The run of {agent!r} {word}{why}", end.workspace, told)


def lost(child: RunProof, row: HandOffRow, *, foreign: bool) -> HandedBack:
    """Of a run that has no end on record, or that is none of this call's."""
    if foreign or child.start is None:
        labels = DelegationClaims.peek(row.delegation).labels
        told = ChildRun(run=row.child, status="lost", count=0, head=GENESIS, labels=labels)
        why = "another run has its id" if foreign else "it never began"
        return HandedBack("error", f"The run of {row.agent!r} did not do it: {why}.", None, told)
    told = _told(child, "lost")
    text = f"The run of {row.agent!r} was stopped before its end, or has left none on record."
    return HandedBack("error", text, child.workspace, told)


def _told(child: RunProof, status: Literal["completed", "failed", "cancelled", "lost"]) -> ChildRun:
    so_far = child.so_far.now()
    return ChildRun(
        run=child.run,
        status=status,
        count=child.count,
        head=child.trail.head,
        usage=so_far.usage,
        labels=seen(so_far, child.reach().manifest),
    )
