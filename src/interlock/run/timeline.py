"""An event in one line: when, who, what, in words."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from interlock.approval.visible import shortened, visible_line
from interlock.errors import InterlockError
from interlock.events import (
    AgentFinished,
    AgentStarted,
    ApprovalAdvanced,
    ApprovalDecided,
    ApprovalExpired,
    ApprovalReassigned,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalWithdrawn,
    CallDecided,
    CallFinished,
    CallProposed,
    CallRefused,
    CallUnknown,
    EgressRequested,
    Event,
    GrantMade,
    GrantUsed,
    ModelResponded,
    RunCancelled,
    RunEnded,
    RunErased,
    RunPaused,
    RunResumed,
    RunStarted,
    SignalReceived,
)

if TYPE_CHECKING:
    from interlock.types.blobs import Blobs

SHORT: Final = 72
"""Characters of a text in one line, unless all is wanted."""


@dataclass
class Timeline:
    """Tells events of one run in order; remembers who proposed which call."""

    blobs: Blobs
    verbose: bool = False
    calls: dict[str, CallProposed] = field(default_factory=dict)

    def line(self, event: Event) -> str:
        """The event in words; what is shortened says so."""
        who, what = self.told(event)
        clock = (
            event.time.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] if self.verbose else event.time.strftime("%H:%M:%S")
        )
        return visible_line(f"{event.seq:>4}  {clock}  {who:<14}  {what}".rstrip())

    def style(self, event: Event) -> str:
        """How a terminal shows it."""
        match event:
            case RunEnded() | AgentFinished():
                return "bold green" if event.status == "completed" else "bold red"
            case CallRefused() | CallUnknown() | ApprovalExpired() | RunCancelled() | RunErased():
                return "red"
            case ApprovalRequested() | ApprovalDecided() | RunPaused() | RunResumed() | SignalReceived():
                return "yellow"
            case CallFinished():
                return "" if event.status == "ok" else "red"
        return "dim" if isinstance(event, CallDecided | ModelResponded) else ""

    def told(self, event: Event) -> tuple[str, str]:
        """Who did what. Texts of agents and tools are in it as they came."""
        match event:
            case RunStarted():
                files = f", files {self._digest(event.workspace)}" if event.workspace else ""
                pinned = f"manifest {self._digest(event.manifest)}, input {self._digest(event.input)}{files}"
                told = f"starts {event.workflow} ({pinned})"
                return event.requester, f"{told}, handed on by {_origin(event)}" if event.parent else told
            case RunPaused():
                return event.by, "pauses the run"
            case RunResumed():
                return event.by, "resumes the run"
            case RunCancelled():
                return event.by, f"cancels the run{self._because(event.reason)}"
            case SignalReceived():
                return event.by, f"sends signal {event.name} (value {self._digest(event.value)})"
            case RunErased():
                return event.by, f"has the run's content erased{self._because(event.reason)}"
            case RunEnded():
                return "run", f"{event.status}, {event.count} events{self._because(event.detail)}"
            case AgentStarted():
                return event.agent, f"starts with model {event.model} (task {self._digest(event.task)})"
            case ModelResponded():
                tokens = f"{event.input_tokens} tokens in, {event.output_tokens} out"
                return event.agent, f"model {event.model} answers, {event.calls} call(s), {tokens}"
            case AgentFinished():
                return event.agent, f"{event.status}{self._because(event.detail)}"
        return self._told_of_call(event)

    def _told_of_call(self, event: Event) -> tuple[str, str]:
        match event:
            case CallProposed():
                self.calls[event.call_id] = event
                edited = f", edited from {_short_id(event.edited_from)}" if event.edited_from else ""
                return event.agent, f"{self._call(event.call_id)} proposes {self._signature(event)}{edited}"
            case CallDecided():
                rule = f"rule {event.rule}" if event.rule else "no rule allows it"
                near = f"; nearest {event.nearest.rule}: {event.nearest.clause}" if event.nearest else ""
                errors = f"; {'; '.join(event.condition_errors)}" if event.condition_errors else ""
                return "policy", f"{self._call(event.call_id)} {event.verdict} ({rule}{near}{errors})"
            case CallRefused():
                return (
                    event.agent,
                    f"{self._call(event.call_id)} not run, by {event.by}: {self._text(event.detail)}",
                )
            case EgressRequested():
                one = event.request
                became = f"{one.status}" if one.verdict == "sent" else f"{one.verdict}: {self._text(one.reason)}"
                key = f" with credential {one.credential}" if one.credential else ""
                return "egress", f"{self._call(event.call_id)} asks {one.asked}{key}: {became}"
            case CallFinished():
                made = "".join(f", artifact {a.name} ({a.size} bytes)" for a in event.artifacts)
                told = f"{self._call(event.call_id)} {event.status}, output {self._digest(event.output)}{made}"
                return "executor", f"{told}{_spent(event)}{_child(event)}"
            case CallUnknown():
                return "executor", f"{self._call(event.call_id)} outcome unknown: {self._text(event.reason)}"
        return self._told_of_approval(event)

    def _told_of_approval(self, event: Event) -> tuple[str, str]:
        match event:
            case ApprovalRequested():
                people = ", ".join(event.approvers)
                ask = f"asks {event.quorum} of {event.route} ({people}) about {self._call(event.call_id)}"
                until = event.expires_at.strftime("%Y-%m-%d %H:%M:%SZ")
                return "policy", f"{_short_id(event.request_id)} {ask}, until {until}"
            case ApprovalDecided():
                message = f": {self._text(event.message)}" if event.message else ""
                seat = f" for {event.seat}" if event.seat else ""
                how = " IN AN EMERGENCY" if event.emergency else ""
                return event.approver, f"{_short_id(event.request_id)} {_PAST[event.verdict]}{how}{seat}{message}"
            case ApprovalAdvanced():
                until = event.expires_at.strftime("%Y-%m-%d %H:%M:%SZ")
                why = "nobody decided in time" if event.why == "escalated" else "the stage before approved"
                ask = f"asks {event.quorum} of stage {event.stage} ({', '.join(event.approvers)})"
                return "policy", f"{_short_id(event.request_id)} {ask}, until {until}: {why}"
            case ApprovalReminded():
                return "policy", f"{_short_id(event.request_id)} reminder {event.number}"
            case ApprovalReassigned():
                told = f"{_short_id(event.request_id)} hands the decision on to {event.to}"
                return event.by, f"{told}{self._because(event.reason)}"
            case ApprovalWithdrawn():
                return event.by, f"{_short_id(event.request_id)} withdraws the request{self._because(event.reason)}"
            case GrantMade():
                return event.by, f"{_short_id(event.request_id)} gives grant {event.grant} for {event.tool}"
            case GrantUsed():
                return "policy", f"{self._call(event.call_id)} may run by grant {event.grant}, use {event.number}"
            case ApprovalExpired():
                return "policy", f"{_short_id(event.request_id)} expired; that denies"
        return "", event.kind

    def _call(self, call_id: str) -> str:
        proposed = self.calls.get(call_id)
        return f"{_short_id(call_id)} {proposed.tool}" if proposed else _short_id(call_id)

    def _signature(self, event: CallProposed) -> str:
        try:
            arguments: Any = json.loads(self.blobs.get(event.arguments))
        except (InterlockError, ValueError) as error:
            return f"(arguments {self._digest(event.arguments)}: {error})"
        whole = json.dumps(arguments, ensure_ascii=False)
        return whole if self.verbose else shortened(whole, SHORT)

    def _text(self, text: str) -> str:
        return text if self.verbose else shortened(text, 2 * SHORT)

    def _because(self, detail: str) -> str:
        return f": {self._text(detail)}" if detail else ""

    def _digest(self, digest: str) -> str:
        if self.verbose:
            return digest or "none"
        return f"{digest.removeprefix('sha256:')[:10]}…" if digest else "none"


_PAST: Final = {"approve": "approved", "edit": "edited", "reject": "rejected", "respond": "answered"}


def _short_id(full: str) -> str:
    """`c4` of `RUN:c4`: the run is known from above."""
    return full.rpartition(":")[2]


def _origin(event: RunStarted) -> str:
    """Which run handed the work on, and through which agents it came."""
    return f"{_short_id(event.parent_call)} of {event.parent} ({' → '.join(event.delegators)})"


def _child(event: CallFinished) -> str:
    """The run that did the work, where it was handed on."""
    if event.child is None:
        return ""
    return (
        f" by run {event.child.run}, {event.child.status} ({event.child.count} events, {event.child.tokens} tokens)"
    )


def _spent(event: CallFinished) -> str:
    """Where the call's container came from, and what it used; nothing of a call that had none."""
    if not event.start:
        return ""
    return f" ({event.start}, {event.usage.cpu_ms} ms CPU, {event.usage.memory_kib / 1024:.0f} MiB)"
