"""What a run's chain lets its reader derive of the next event: a fold over its events. Pure.

The workflow keeps one beside the chain that it records, the executor one beside the chain that it verified; at the
same event both are the same, so that what follows from it need not travel.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field, JsonValue, ValidationError

from interlock.digest import digest_of
from interlock.events import (
    GENESIS,
    AgentStarted,
    CallDecided,
    CallFinished,
    CallProposed,
    CallRefused,
    Event,
    ModelResponded,
    RunStarted,
    Time,
)
from interlock.types.call import ToolCall
from interlock.types.closed import Closed
from interlock.types.names import Digest

OPEN_CALLS: Final = 64
"""Of so many calls that were proposed last the facts are at hand; an event about an older one states them."""

_OF_A_CALL: Final = ("call_id", "agent", "tool", "tool_digest", "arguments", "workspace")


class OpenCall(Closed):
    """What events about a call repeat of its proposal."""

    call_digest: Digest
    agent: str
    tool: str
    subject: str
    """Digest of its arguments."""


class Trail(Closed, frozen=False):
    """The end of one chain."""

    run: str
    seq: int = 0
    """The next event's."""
    head: Digest = GENESIS
    time: Time | None = None
    """The last event's."""
    tenant: str = ""
    agent: str = ""
    """Whoever acted last."""
    model: str = ""
    heads: dict[str, str] = Field(default_factory=dict)
    """Agent → head of its transcript."""
    tools: dict[str, str] = Field(default_factory=dict)
    """Tool → digest of its source."""
    workspace: str = ""
    verdict: str = ""
    rule: str = ""
    bundle: str = ""
    call_id: str = ""
    """The call that was spoken of last."""
    calls: dict[str, OpenCall] = Field(default_factory=dict)

    def feed(self, event: Event) -> None:
        """Take the next event of the chain."""
        match event:
            case RunStarted():
                self.tenant, self.workspace = event.tenant, event.workspace
            case AgentStarted():
                self.agent, self.model = event.agent, event.model
                self.heads.pop(event.agent, None)
            case ModelResponded():
                self.agent, self.model = event.agent, event.model
                self.heads[event.agent] = event.after
            case CallProposed():
                self._proposed(event)
            case CallDecided():
                self.verdict, self.rule, self.bundle = event.verdict, event.rule, event.bundle
            case CallFinished():
                self.workspace = event.workspace
                self.calls.pop(event.call_id, None)
            case CallRefused():
                self.calls.pop(event.call_id, None)
            case _:
                pass
        self.call_id = getattr(event, "call_id", "") or self.call_id
        self.seq, self.head, self.time = event.seq + 1, event.hash, event.time

    def derived(self, kind: str, stated: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """What an event of `kind` says unless it states something else, as JSON values."""
        match kind:
            case "model.responded":
                agent = stated.get("agent", self.agent)
                before = self.heads.get(agent, "") if isinstance(agent, str) else ""
                return {"agent": self.agent, "model": self.model, "before": before}
            case "call.proposed":
                return self._proposal(stated)
            case "call.decided":
                last: dict[str, JsonValue] = {"verdict": self.verdict, "rule": self.rule, "bundle": self.bundle}
                return {**self._of_call(stated, ("call_digest",)), **last}
            case "call.refused":
                return self._of_call(stated, ("agent", "tool"))
            case "approval.requested":
                return self._of_call(stated, ("call_digest", "agent", "tool", "subject"))
            case "egress.requested" | "call.finished" | "call.unknown" | "grant.used":
                return self._of_call(stated, ("call_digest",))
            case "agent.finished":
                return {"agent": self.agent, "transcript": self.heads.get(self.agent, "")}
            case "run.ended":
                return {"workspace": self.workspace, "count": self.seq + 1}
            case _:
                return {}

    def _of_call(self, stated: dict[str, JsonValue], names: tuple[str, ...]) -> dict[str, JsonValue]:
        call_id = stated.get("call_id", self.call_id)
        call = self.calls.get(call_id) if isinstance(call_id, str) else None
        facts: dict[str, JsonValue] = {name: getattr(call, name) for name in names} if call else {}
        return {"call_id": self.call_id, **facts}

    def _proposal(self, stated: dict[str, JsonValue]) -> dict[str, JsonValue]:
        tool = stated.get("tool", "")
        known: dict[str, JsonValue] = {
            "call_id": _next(self.run, self.call_id),
            "agent": self.agent,
            "tool_digest": self.tools.get(tool, "") if isinstance(tool, str) else "",
            "workspace": "",
        }
        whole: dict[str, Any] = {**known, **stated}
        named = {name: whole.get(name) for name in _OF_A_CALL}
        try:
            call = ToolCall(tenant=self.tenant, run=self.run, **named)
        except ValidationError:  # no call, so that nothing follows from it
            return known
        return {**known, "call_digest": digest_of(call.as_hashed())}

    def _proposed(self, event: CallProposed) -> None:
        self.agent = event.agent
        self.tools[event.tool] = event.tool_digest
        self.calls[event.call_id] = OpenCall(
            call_digest=event.call_digest, agent=event.agent, tool=event.tool, subject=event.arguments
        )
        while len(self.calls) > OPEN_CALLS:
            del self.calls[next(iter(self.calls))]


def _next(run: str, call_id: str) -> str:
    """The id after `RUN:cN`; that of the first call where there is none."""
    number = call_id.removeprefix(f"{run}:c")
    return f"{run}:c{int(number) + 1 if number.isascii() and number.isdigit() and len(number) < 10 else 1}"
