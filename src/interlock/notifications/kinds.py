"""What people and programs can be told of. A new kind is one line here."""

from __future__ import annotations

from typing import Final

KINDS: Final[dict[str, str]] = {
    "approval.requested": "{agent} waits for a decision on {what}",
    "approval.reminded": "{agent} still waits for a decision on {what}",
    "approval.advanced": "Those before have approved; {agent} waits for the next decision on {what}",
    "approval.escalated": "Nobody decided on {what} of {agent} in time: the next approvers are asked",
    "approval.reassigned": "{by} handed the decision on {what} of {agent} on",
    "approval.overridden": "{by} broke the glass: {what} of {agent} runs on their word alone",
    "approval.decided": "{by} decided on {what} of {agent}: {verdict}",
    "approval.expired": "Nobody decided on {what} of {agent} in time, so it does not run",
    "approval.withdrawn": "{what} of {agent} no longer waits for a decision",
    "grant.made": "{by} lets calls like {what} of {agent} run without asking for some time",
    "run.ended": "Run {run} has ended: {status}",
    "run.failed": "Run {run} has failed",
    "test.sent": "A test of this channel",
}
"""Kind → what is said in one line. It is filled with names of Interlock's own form, never with free text."""

WAITING: Final = frozenset(
    {
        "approval.requested",
        "approval.reminded",
        "approval.advanced",
        "approval.escalated",
        "approval.reassigned",
    }
)
"""Kinds that ask somebody to do something before a deadline."""

TEST: Final = "test.sent"

SUBSCRIBED: Final = tuple(kind for kind in KINDS if kind != TEST)
"""What a channel can ask for."""
