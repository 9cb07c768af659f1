"""One thing that is told: facts of the ledger, as ids and names, and where to look at the whole."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from interlock.notifications.kinds import KINDS, WAITING
from interlock.types.closed import Closed


class Notification(Closed):
    """What happened. It holds no argument, message or reason: those stay sealed under their run's key."""

    event_id: str = Field(pattern=r"^msg_[0-9a-f]{32}$")
    """The same for the same fact, whoever computes it and how often: receivers drop what they had before."""
    kind: str
    time: datetime
    tenant: str
    run: str
    workflow: str = ""
    requester: str = ""
    """The person that the run acts for."""
    request: str = ""
    """Id of the approval request; empty where it is about a run."""
    about: str = ""
    """What the request is about: `call`, `question`, `unknown`, `review`."""
    agent: str = ""
    tool: str = ""
    route: str = ""
    deadline: datetime | None = None
    by: str = ""
    """Who decided."""
    verdict: str = ""
    status: str = ""
    """How the run ended."""
    people: tuple[str, ...] = ()
    """Whom it concerns: who can decide, or who waits for it."""

    @property
    def headline(self) -> str:
        """It in one line."""
        tool = self.tool or "a call"
        what = {
            "question": "a question",
            "unknown": f"{tool}, which may have happened already",
            "review": f"the review of {tool}, for which the glass was broken",
        }.get(self.about, tool)
        return KINDS.get(self.kind, self.kind).format(
            agent=self.agent or "an agent",
            what=what,
            by=self.by,
            verdict=self.verdict,
            run=self.run,
            status=self.status,
        )

    def stale(self, now: datetime) -> bool:
        """Whether it asks for what can no longer be done."""
        return self.kind in WAITING and self.deadline is not None and now >= self.deadline

    def facts(self) -> dict[str, str]:
        """Names and ids for people to read, in order; what is empty is left out."""
        shown = {
            "Tool": "" if self.about == "question" else self.tool,
            "Agent": self.agent,
            "For": self.requester,
            "Run": self.run,
            "Request": self.request,
            "Route": self.route,
            "Decide before": self.deadline.isoformat(timespec="seconds") if self.deadline else "",
        }
        return {name: value for name, value in shown.items() if value}

    def data(self) -> dict[str, Any]:
        """The same for programs."""
        left_out = {"event_id", "kind", "people"}
        return {name: value for name, value in self.model_dump(mode="json", exclude=left_out).items() if value}


class Details(Closed):
    """What a channel that says `details: true` gets besides: text of agents, tools and people, made visible."""

    lines: tuple[tuple[str, str], ...]
    """A label and its text, in order."""


class Message(Closed):
    """A notification as it goes to a channel."""

    notification: Notification
    link: str
    """The page where all of it is seen, and decided on, by who is signed in."""
    details: Details | None = None
