"""Whether a person may decide on a request, in words for the page. The workflow and the executor judge it
themselves: what is said here only spares a person a refusal.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple

from interlock.audit import ApprovalRow
from interlock.types.approval import RequestKind

PAST: Final = {
    "approve": "approved",
    "edit": "edited",
    "reject": "rejected",
    "respond": "answered",
    "withdraw": "withdrew",
    "hand-on": "handed on",
    "grant": "gave a standing grant on",
}
OFFERED: Final[dict[RequestKind, tuple[str, ...]]] = {
    "call": ("Approve", "Edit", "Reject"),
    "question": ("Respond", "Reject"),
    "unknown": ("Run it again", "It was done", "It failed"),
    "review": ("Justified", "Not justified"),
}
"""What may be decided on each kind of request, as its buttons say it."""
ASKED: Final[dict[RequestKind, str]] = {
    "call": "may this call run?",
    "question": "a question",
    "unknown": "outcome unknown",
    "review": "let run in an emergency: was that justified?",
}


class Standing(NamedTuple):
    """What somebody is to a request."""

    may: bool
    """Whether their decision would count now."""
    why: str
    """Why not, and who can; empty where they may."""
    seat: str = ""
    """The approver who is away and for whom they would decide; empty: for themselves."""


def standing(row: ApprovalRow, person: str, now: datetime, away: Collection[str] = ()) -> Standing:
    """What `person` is to a request; `away` are those who named them their deputy."""
    if row.state != "pending":
        return Standing(False, closed(row))
    if now >= row.expires_at:
        return Standing(False, "The deadline has passed; the call counts as denied.")
    others = ", ".join(one for one in row.approvers if one != row.requester) or "nobody"
    if person == row.requester:
        return Standing(False, f"You asked for this run, so you cannot decide on it. It waits for {others}.")
    own = next((vote for vote in row.votes if vote.approver == person), None)
    if own is not None:
        return Standing(False, f"You {PAST[own.verdict]} it already. It waits for {others}.")
    seats = sorted(
        {*away} & {*row.approvers} - {row.requester, *(vote.seat or vote.approver for vote in row.votes)}
    )
    if person not in row.approvers and seats:
        return Standing(True, "", seats[0])
    if person not in row.approvers:
        stage = f", stage {row.stage}" if row.stage else ""
        return Standing(False, f"You are no approver of route {row.route}{stage}. It waits for {others}.")
    return Standing(True, "")


def closed(row: ApprovalRow) -> str:
    """What became of a request that waits no more: by whom and when."""
    if row.state == "expired":
        return f"Nobody decided by {row.expires_at:%Y-%m-%d %H:%M:%S} UTC, so the call was denied."
    if row.state == "withdrawn" or row.decided_at is None or not row.votes:
        return f"The request is {row.state}: nobody needs to decide any more."
    last = row.votes[-1]
    glass = " in an emergency" if last.emergency else ""
    return f"{last.approver} {PAST[last.verdict]} it{glass} at {row.decided_at:%Y-%m-%d %H:%M:%S} UTC."
