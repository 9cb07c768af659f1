"""A sample run that has every kind of event, with the blobs and the reservations that bear it out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from interlock.audit import Ledger, Reservation
from interlock.digest import canonical
from interlock.events import (
    GENESIS,
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
    EventBase,
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
    sealed,
)
from interlock.types import Artifact, Blobs, EgressRecord, FileEntry, NearestRule, ToolCall, Tree

START = datetime(2026, 3, 4, 5, 6, 7, 891011, tzinfo=UTC)
EVENT_TYPES: tuple[type[EventBase], ...] = get_args(get_args(Event)[0])
EVENT_KINDS: tuple[str, ...] = tuple(
    cls.model_fields["kind"].default for cls in EVENT_TYPES if cls is not RunErased
)
"""Of a run whose content can be read."""


class ChainBuilder:
    """Makes sealed events that follow one another, a second apart."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.events: list[Event] = []

    def add(self, kind: type[EventBase], **fields: Any) -> Any:
        """Append an event of `kind`."""
        seq = len(self.events)
        prev = self.events[-1].hash if self.events else GENESIS
        draft = kind(run=self.run, seq=seq, prev=prev, time=START + timedelta(seconds=seq), **fields)
        event = sealed(draft)  # type: ignore[arg-type]
        self.events.append(event)
        return event

    def start(self, blobs: Blobs | None = None, **fields: Any) -> Any:
        """Append `run.started`."""
        put = blobs.put if blobs else _digest
        defaults = {
            "tenant": "acme",
            "workflow": "fix_issue",
            "requester": "user:alice",
            "requester_token": "requester-token",
            "manifest": put(b"manifest"),
            "input": put(b"input"),
            "workspace": "",
        }
        return self.add(RunStarted, **{**defaults, **fields})


class SampleRun:
    """One run with every kind of event. `store` puts it into a ledger as an executor would.

    Attributes:
        events: all of them, in order.
    """

    def __init__(self, blobs: Blobs, run: str = "sample-1") -> None:
        self.run = run
        self.put = blobs.put
        self.chain = ChainBuilder(run)
        self.before = self._tree(b"value = 1\n")
        self.after = self._tree(b"value = 2\n")
        self._begin()
        self._approved_call()
        self._refused_call()
        self._unknown_call()
        self._finish()

    @property
    def events(self) -> list[Event]:
        """All events, in order."""
        return self.chain.events

    def of_kind(self, kind: str) -> Event:
        """The first event of a kind."""
        return next(event for event in self.events if event.kind == kind)

    def store(self, ledger: Ledger) -> None:
        """Append the events, reserving and finishing the calls at their places."""
        before_c1, before_c3 = self._place(CallFinished), self._place(CallUnknown)
        ledger.append(self.run, self.events[:before_c1])
        ledger.use_grant(f"{self.run}-grant", f"{self.run}:c1", 1)
        outcome = ledger.reserve(self.reservation("c1", approvals=(f"{self.run}-jti-of-bob",)))
        receipt = self.put(b"receipt-of-c1")
        ledger.complete(f"{self.run}:c1", outcome.attempt, b"result", receipt, self.before, self.after)
        ledger.append(self.run, self.events[before_c1:before_c3])
        ledger.reserve(self.reservation("c3"))
        ledger.append(self.run, self.events[before_c3:])

    def reservation(self, call: str, approvals: tuple[str, ...] = ()) -> Reservation:
        """What an executor reserves for one of the calls."""
        call_id = f"{self.run}:{call}"
        decided = next(e for e in self.events if isinstance(e, CallDecided) and e.call_id == call_id)
        return Reservation(
            call_id=call_id,
            run=self.run,
            call_digest=decided.call_digest,
            executor="executor-1",
            verdict=decided.verdict,
            rule=decided.rule,
            bundle=decided.bundle,
            request=decided.request,
            approvals=approvals,
        )

    def _place(self, kind: type[EventBase]) -> int:
        return next(event.seq for event in self.events if isinstance(event, kind))

    def _tree(self, content: bytes) -> str:
        tree = Tree(files={"src/main.py": FileEntry(digest=self.put(content), size=len(content))})
        return self.put(canonical(tree.as_hashed()))

    def _begin(self) -> None:
        put = self.put
        self.chain.start(
            manifest=put(b"manifest"), input=put(b"input"), workspace=self.before, requester_token="token-of-alice"
        )
        self.chain.add(AgentStarted, agent="agent:fixer", task=put(b"task"), model="scripted")
        self.chain.add(
            ModelResponded,
            agent="agent:fixer",
            model="scripted",
            before=put(b"transcript 1"),
            after=put(b"transcript 2"),
            calls=3,
            input_tokens=120,
            output_tokens=45,
        )

    def _propose(self, call: str, workspace: str, verdict: str, **decision: Any) -> ToolCall:
        tool_call = ToolCall(
            tenant="acme",
            run=self.run,
            call_id=f"{self.run}:{call}",
            agent="agent:fixer",
            tool="edit_file",
            tool_digest=self.put(b"def edit_file(): ..."),
            arguments=self.put(f"arguments of {call}".encode()),
            workspace=workspace,
        )
        named = tool_call.model_dump(exclude={"tenant", "run"})
        digest = self.put(canonical(tool_call.as_hashed()))
        self.chain.add(CallProposed, **named, call_digest=digest, edited_from=f"{self.run}:c0")
        self.chain.add(
            CallDecided,
            call_id=tool_call.call_id,
            call_digest=digest,
            verdict=verdict,
            request=self.put(b"access request"),
            bundle=self.put(b"bundle"),
            **decision,
        )
        return tool_call

    def _approved_call(self) -> None:
        call = self._propose("c1", self.before, "ask", rule="edits_need_approval")
        digest = self.put(canonical(call.as_hashed()))
        self.chain.add(
            ApprovalRequested,
            request_id=f"{self.run}:a1",
            about="call",
            call_id=call.call_id,
            agent="agent:fixer",
            tool="edit_file",
            call_digest=digest,
            subject=call.arguments,
            rule="edits_need_approval",
            reason="edits are approved",
            route="maintainers",
            approvers=("user:bob", "user:carol"),
            quorum=1,
            expires_at=START + timedelta(hours=1),
        )
        self.chain.add(
            ApprovalDecided,
            request_id=f"{self.run}:a1",
            verdict="approve",
            approver="user:bob",
            token="token-of-bob",
            message="fine",
            edited=self.put(b"edited arguments"),
            closes=True,
        )
        self.chain.add(
            GrantMade,
            grant=f"{self.run}-grant",
            request_id=f"{self.run}:a1",
            by="user:bob",
            agent="agent:fixer",
            tool="edit_file",
            token="token-of-the-grant",
        )
        self.chain.add(
            GrantUsed,
            call_id=call.call_id,
            call_digest=digest,
            grant=f"{self.run}-grant",
            number=1,
            token="token-of-the-grant",
        )
        self.chain.add(
            EgressRequested,
            call_id=call.call_id,
            call_digest=digest,
            request=EgressRecord(
                number=1,
                verdict="refused",
                scheme="https",
                host="example.org",
                port=443,
                method="GET",
                path="/",
                reason="no rule",
                at=START,
            ),
        )
        self.chain.add(
            CallFinished,
            call_id=call.call_id,
            call_digest=digest,
            status="ok",
            output=self.put(b"output"),
            workspace=self.after,
            artifacts=(Artifact(name="patch", digest=self.put(b"a patch"), size=7, media_type="text/x-diff"),),
            receipt=self.put(b"receipt-of-c1"),
        )

    def _refused_call(self) -> None:
        self.chain.add(RunPaused, by="user:alice", token="token-to-pause")
        self.chain.add(RunResumed, by="user:alice", token="token-to-resume")
        value = self.put(b'"a value"')
        self.chain.add(SignalReceived, name="paid", value=value, by="user:carol", token="token-to-signal")
        nearest = NearestRule(rule="readers", clause="tool is 'edit_file'", source="policies.csv:7")
        errors = ("amount: not a number",)
        call = self._propose("c2", self.after, "deny", rule="", nearest=nearest, condition_errors=errors)
        self.chain.add(
            CallRefused,
            call_id=call.call_id,
            agent="agent:fixer",
            tool="edit_file",
            by="policy",
            detail="no rule allows it",
        )
        self.chain.add(
            ApprovalRequested,
            request_id=f"{self.run}:a2",
            about="question",
            agent="agent:fixer",
            call_digest=self.put(b"which branch?"),
            subject=self.put(b"which branch?"),
            rule="questions",
            reason="the graph asks",
            route="maintainers",
            approvers=("user:bob",),
            quorum=1,
            expires_at=START + timedelta(seconds=15),
        )
        self.chain.add(ApprovalReminded, request_id=f"{self.run}:a2", number=1)
        self.chain.add(
            ApprovalReassigned,
            request_id=f"{self.run}:a2",
            by="user:bob",
            to="user:dave",
            token="token-to-reassign",
            reason="away",
        )
        self.chain.add(
            ApprovalAdvanced,
            request_id=f"{self.run}:a2",
            why="escalated",
            stage="lead",
            approvers=("user:erin",),
            quorum=1,
            expires_at=START + timedelta(seconds=25),
        )
        self.chain.add(ApprovalExpired, request_id=f"{self.run}:a2")
        self._withdrawn_question()

    def _withdrawn_question(self) -> None:
        self.chain.add(
            ApprovalRequested,
            request_id=f"{self.run}:a3",
            about="question",
            agent="agent:fixer",
            call_digest=self.put(b"which tag?"),
            subject=self.put(b"which tag?"),
            rule="questions",
            reason="the graph asks",
            route="maintainers",
            stage="team",
            approvers=("user:bob",),
            quorum=1,
            expires_at=START + timedelta(seconds=30),
            ends_at=START + timedelta(seconds=60),
        )
        self.chain.add(
            ApprovalWithdrawn,
            request_id=f"{self.run}:a3",
            by="user:alice",
            token="token-to-withdraw",
            reason="answered elsewhere",
        )

    def _unknown_call(self) -> None:
        call = self._propose("c3", self.after, "allow", rule="readers")
        digest = self.put(canonical(call.as_hashed()))
        self.chain.add(CallUnknown, call_id=call.call_id, call_digest=digest, reason="the executor died")

    def _finish(self) -> None:
        self.chain.add(RunCancelled, by="user:alice", token="token-to-cancel", reason="changed my mind")
        self.chain.add(
            AgentFinished,
            agent="agent:fixer",
            status="cancelled",
            transcript=self.put(b"transcript 3"),
            result=self.put(b"agent result"),
            detail="cancelled by a person",
        )
        self.chain.add(
            RunEnded,
            status="cancelled",
            result=self.put(b"run result"),
            workspace=self.after,
            detail="cancelled by a person",
            count=len(self.events) + 1,
        )


def resealed(events: list[Event], place: int, change: Callable[[Event], Event]) -> list[Event]:
    """The chain as a forger with write access would leave it: one event changed, every later hash computed anew."""
    forged = events[:place]
    prev = events[place].prev
    for event in [change(events[place]), *events[place + 1 :]]:
        forged.append(sealed(event.model_copy(update={"prev": prev})))
        prev = forged[-1].hash
    return forged


def _digest(data: bytes) -> str:
    from interlock.digest import digest_bytes

    return digest_bytes(data)
