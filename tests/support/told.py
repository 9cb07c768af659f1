"""A notification, and the message that it becomes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from interlock.notifications import Details, Message, Notification

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def notification(number: int = 1, **fields: Any) -> Notification:
    """A request that waits; each number is another fact."""
    values: dict[str, Any] = {
        "event_id": f"msg_{number:032x}",
        "kind": "approval.requested",
        "time": NOW,
        "tenant": "acme",
        "run": "fix-1",
        "workflow": "fix_issue",
        "requester": "user:alice",
        "request": "fix-1:a1",
        "about": "call",
        "agent": "agent:fixer",
        "tool": "open_pull_request",
        "route": "maintainers",
        "people": ("user:bob", "user:carol"),
    }
    return Notification(**{**values, **fields})


def message(details: Details | None = None, **fields: Any) -> Message:
    """The same with its link."""
    link = "https://interlock.example/approvals/fix-1:a1"
    return Message(notification=notification(**fields), link=link, details=details)
