"""The run so far, read off its events: which calls count, what finished, what models used. Pure.

The workflow feeds it what it records, the executor and `interlock replay` what they verified; so all three answer
the same about any moment of the run.

A call counts unless its first decision denied it, or its first request ended without approval. An executor runs
no other, so what does not count has not run; and no later event can make a call count less.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from interlock.events import (
    ApprovalDecided,
    ApprovalExpired,
    ApprovalRequested,
    CallDecided,
    CallFinished,
    CallProposed,
    Event,
    ModelResponded,
    RunStarted,
)
from interlock.run.contracts import CallSoFar, RunSoFar
from interlock.types.access import Verdict


@dataclass
class _Call:
    proposal: CallProposed
    first: Verdict | None = None
    request: str = ""
    """Its first request to people about whether it runs."""
    approved: bool = False
    out: int | None = None
    """The event since which it does not count."""
    finished: CallFinished | None = None
    carried: tuple[str, ...] = ()


@dataclass
class SoFar:
    """One run, event by event."""

    events: int = 0
    input: str = ""
    _calls: dict[str, _Call] = field(default_factory=dict)
    """By call digest, in the order of proposal."""
    _requests: dict[str, _Call] = field(default_factory=dict)
    _usage: list[ModelResponded] = field(default_factory=list)

    def feed(self, event: Event) -> None:
        """Take the next event."""
        match event:
            case RunStarted():
                self.input = event.input
            case ModelResponded():
                self._usage.append(event)
            case CallProposed():
                self._calls.setdefault(event.call_digest, _Call(event))
            case CallDecided():
                self._decided(event)
            case ApprovalRequested():
                self._requested(event)
            case ApprovalDecided() if event.closes and (call := self._requests.get(event.request_id)):
                self._closed(call, event)
            case ApprovalExpired() if call := self._requests.get(event.request_id):
                call.out = call.out if call.approved else event.seq
            case CallFinished() if call := self._calls.get(event.call_digest):
                call.finished = event
            case _:
                pass
        self.events = event.seq + 1

    def carry(self, call_digest: str, labels: tuple[str, ...]) -> None:
        """Keep the labels of a call's arguments, before its first decision is fed: its output has them too."""
        call = self._calls.get(call_digest)
        if call is not None and call.first is None:
            call.carried = labels

    def may_run(self, call_digest: str) -> str:
        """Why a proposed call must not run, by its first decision and the people asked; empty if it may."""
        call = self._calls[call_digest]
        if call.first is None:
            return "no decision about it is on record"
        if call.out is not None:
            return "it was denied, or its request ended without approval; that is final"
        if call.first == "ask" and not call.approved:
            return "its request to people is not approved"
        return ""

    def others_before(self, seq: int) -> int:
        """How many events the facts for a call proposed as event `seq` must cover at least."""
        return max((c.proposal.seq + 1 for c in self._calls.values() if c.proposal.seq < seq), default=0)

    def at(self, events: int, before: int) -> RunSoFar:
        """The run as its first `events` events tell it, for a call that was proposed as event `before`."""
        calls = [
            call
            for call in self._calls.values()
            if call.proposal.seq < min(before, events) and (call.out is None or call.out >= events)
        ]
        return RunSoFar(
            events=events,
            input=self.input,
            calls=tuple(_told(call, events) for call in calls),
            usage=self._used(events),
        )

    def now(self) -> RunSoFar:
        """The run as all its events tell it, for a call that is about to be proposed."""
        return self.at(self.events, self.events)

    def _decided(self, event: CallDecided) -> None:
        call = self._calls.get(event.call_digest)
        if call is not None and call.first is None:
            call.first = event.verdict
            call.out = event.seq if event.verdict == "deny" else None

    def _requested(self, event: ApprovalRequested) -> None:
        call = self._calls.get(event.call_digest)
        if call is not None and event.about != "unknown" and not call.request:
            call.request = event.request_id
            self._requests[event.request_id] = call

    def _closed(self, call: _Call, event: ApprovalDecided) -> None:
        if event.verdict in ("approve", "respond"):
            call.approved = True
        elif call.out is None:
            call.out = event.seq

    def _used(self, events: int) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for event in self._usage:
            if event.seq < events:
                read, written = found.get(event.model, (0, 0))
                found[event.model] = (read + event.input_tokens, written + event.output_tokens)
        return found


def _told(call: _Call, events: int) -> CallSoFar:
    proposal, finished = call.proposal, call.finished
    if finished is not None and finished.seq >= events:
        finished = None
    return CallSoFar(
        tool=proposal.tool,
        arguments=proposal.arguments,
        proposed_at=proposal.time,
        edited=bool(proposal.edited_from),
        status=finished.status if finished else "",
        output=finished.output if finished else "",
        carried=call.carried,
    )
