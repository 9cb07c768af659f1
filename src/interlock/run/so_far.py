"""The run so far, read off its events: which calls count, what finished, what models used. Pure.

The workflow feeds it what it records, the executor and `interlock replay` what they verified; so all three answer
the same about any moment of the run.

A call counts unless its first decision denied it, or its first request ended without approval. An executor runs
no other, so what does not count has not run; and no later event can make a call count less.

A workflow does not keep what will never change again: it sets the oldest calls aside, in a blob, and names it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import takewhile

from interlock.events import (
    ApprovalDecided,
    ApprovalExpired,
    ApprovalRequested,
    ApprovalWithdrawn,
    CallDecided,
    CallFinished,
    CallProposed,
    Event,
    GrantUsed,
    ModelResponded,
    RunStarted,
    SignalReceived,
)
from interlock.run.contracts import CallSoFar, RunSoFar, SignalSoFar
from interlock.types.access import Verdict
from interlock.types.closed import Closed


class OpenCall(Closed):
    """A call of which more may be said, as an execution of the workflow hands it to the next."""

    proposal: CallProposed
    first: Verdict | None
    request: str
    approved: bool
    out: int | None
    finished: CallFinished | None
    carried: tuple[str, ...]
    over: bool


class CarriedSoFar(Closed):
    """What an execution of the workflow knows of the run, for the next."""

    events: int
    input: str
    requester: str
    handed_on: bool
    inherited: tuple[str, ...]
    earlier: str
    signals: tuple[tuple[int, SignalSoFar], ...]
    calls: tuple[OpenCall, ...]
    usage: dict[str, tuple[int, int]]


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
    over: bool = False
    """Whether the workflow has its result, whatever that is."""
    told: CallSoFar | None = None
    """What is told of it once it finished, which is the same ever after."""

    @property
    def closed(self) -> bool:
        """Whether no later event says more of it."""
        return self.over or self.out is not None or self.finished is not None


@dataclass
class SoFar:
    """One run, event by event."""

    events: int = 0
    input: str = ""
    requester: str = ""
    handed_on: bool = False
    inherited: tuple[str, ...] = ()
    earlier: str = ""
    """The blob of the calls that were set aside."""
    _calls: dict[str, _Call] = field(default_factory=dict)
    """By call digest, in the order of proposal."""
    _requests: dict[str, _Call] = field(default_factory=dict)
    _signals: list[tuple[int, SignalSoFar]] = field(default_factory=list)
    """With the place of its event."""
    _usage: list[ModelResponded | CallFinished] = field(default_factory=list)
    _used_in_all: dict[str, tuple[int, int]] = field(default_factory=dict)

    def feed(self, event: Event) -> None:
        """Take the next event."""
        match event:
            case RunStarted():
                self.input, self.requester = event.input, event.requester
                self.handed_on, self.inherited = bool(event.parent), event.labels
            case SignalReceived():
                own = event.by == self.requester
                self._signals.append((event.seq, SignalSoFar(value=event.value, requester=own)))
            case ModelResponded():
                self._usage.append(event)
                _add(self._used_in_all, event)
            case CallProposed():
                self._calls.setdefault(event.call_digest, _Call(event))
            case CallDecided():
                self._decided(event)
            case ApprovalRequested():
                self._requested(event)
            case ApprovalDecided() if event.closes and (call := self._requests.get(event.request_id)):
                self._closed(call, event)
            case ApprovalExpired() | ApprovalWithdrawn() if call := self._requests.get(event.request_id):
                call.out = call.out if call.approved else event.seq
            case GrantUsed() if call := self._calls.get(event.call_digest):
                call.approved = True
            case CallFinished():
                self._finished(event)
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
            handed_on=self.handed_on,
            inherited=self.inherited,
            earlier=self.earlier,
            signals=tuple(signal for seq, signal in self._signals if seq < events),
            calls=tuple(_told(call, events) for call in calls),
            usage=self._used(events),
        )

    def now(self) -> RunSoFar:
        """The run as all its events tell it, for a call that is about to be proposed."""
        return self.at(self.events, self.events)

    # -- what a workflow does not keep -----------------------------------------------------------------------

    def over(self, call_digest: str) -> None:
        """The workflow has this call's result: nothing more will be said of it."""
        if call := self._calls.get(call_digest):
            call.over = True

    def closed(self) -> list[CallSoFar]:
        """The oldest calls that count, up to the first of which more may be said."""
        return [_told(call, self.events) for call in self._oldest() if call.out is None]

    def set_aside(self, earlier: str) -> None:
        """Drop what `closed` told; `earlier` is the blob that now holds it."""
        for call in self._oldest():
            del self._calls[call.proposal.call_digest]
            self._requests.pop(call.request, None)
        self._usage.clear()
        self.earlier = earlier

    def carried_over(self) -> CarriedSoFar:
        """All of it, for the next execution of the workflow."""
        names = list(OpenCall.model_fields)
        return CarriedSoFar(
            events=self.events,
            input=self.input,
            requester=self.requester,
            handed_on=self.handed_on,
            inherited=self.inherited,
            earlier=self.earlier,
            signals=tuple(self._signals),
            calls=tuple(OpenCall(**{name: getattr(c, name) for name in names}) for c in self._calls.values()),
            usage=self._used_in_all,
        )

    @classmethod
    def resumed(cls, carried: CarriedSoFar) -> SoFar:
        """What `carried_over` gave, to go on from."""
        calls = [_Call(**{name: getattr(c, name) for name in OpenCall.model_fields}) for c in carried.calls]
        return cls(
            events=carried.events,
            input=carried.input,
            requester=carried.requester,
            handed_on=carried.handed_on,
            inherited=carried.inherited,
            _signals=list(carried.signals),
            earlier=carried.earlier,
            _calls={call.proposal.call_digest: call for call in calls},
            _requests={call.request: call for call in calls if call.request},
            _used_in_all=dict(carried.usage),
        )

    # -- parts -----------------------------------------------------------------------------------------------

    def _oldest(self) -> list[_Call]:
        return list(takewhile(lambda call: call.closed, self._calls.values()))

    def _decided(self, event: CallDecided) -> None:
        call = self._calls.get(event.call_digest)
        if call is not None and call.first is None:
            call.first = event.verdict
            call.out = event.seq if event.verdict == "deny" else None

    def _requested(self, event: ApprovalRequested) -> None:
        call = self._calls.get(event.call_digest)
        if call is not None and event.about not in ("unknown", "review") and not call.request:
            call.request = event.request_id
            self._requests[event.request_id] = call

    def _closed(self, call: _Call, event: ApprovalDecided) -> None:
        if event.verdict in ("approve", "respond"):
            call.approved = True
        elif call.out is None:
            call.out = event.seq

    def _finished(self, event: CallFinished) -> None:
        if event.child is not None:
            self._usage.append(event)
            _add(self._used_in_all, event)
        if call := self._calls.get(event.call_digest):
            call.finished = event

    def _used(self, events: int) -> dict[str, tuple[int, int]]:
        if events >= self.events:
            return dict(self._used_in_all)
        found: dict[str, tuple[int, int]] = {}
        for event in self._usage:
            if event.seq < events:
                _add(found, event)
        return found


def _add(usage: dict[str, tuple[int, int]], event: ModelResponded | CallFinished) -> None:
    if isinstance(event, ModelResponded):
        used = {event.model: (event.input_tokens, event.output_tokens)}
    else:
        used = event.child.usage if event.child is not None else {}
    for model, (more_read, more_written) in used.items():
        read, written = usage.get(model, (0, 0))
        usage[model] = (read + more_read, written + more_written)


def _told(call: _Call, events: int) -> CallSoFar:
    finished = call.finished
    if finished is None or finished.seq >= events:
        return _tell(call, None)
    if call.told is None:
        call.told = _tell(call, finished)
    return call.told


def _tell(call: _Call, finished: CallFinished | None) -> CallSoFar:
    proposal = call.proposal
    return CallSoFar(
        tool=proposal.tool,
        arguments=proposal.arguments,
        proposed_at=proposal.time,
        edited=bool(proposal.edited_from),
        status=finished.status if finished else "",
        output=finished.output if finished else "",
        carried=_carried(call, finished),
    )


def _carried(call: _Call, finished: CallFinished | None) -> tuple[str, ...]:
    """What a run to which work was handed on gives back has the labels of all that it saw, too."""
    if finished is None or finished.child is None:
        return call.carried
    return tuple(sorted({*call.carried, *finished.child.labels}))
