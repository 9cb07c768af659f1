"""The state of one run, in workflow code: chain, workspace, open approvals, pause, counters, what is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from pydantic import BaseModel, JsonValue
from temporalio import workflow

from interlock.approval import Controls, PendingApproval
from interlock.digest import digest_of
from interlock.graph import CallResult, Drained
from interlock.run.chain import Chain
from interlock.run.contracts import RunFacts, RunInput
from interlock.run.delegation import delegation_of
from interlock.run.handed_on import HandOffs
from interlock.run.joining import stopped
from interlock.run.journal import Journal
from interlock.run.mailbox import Mailbox
from interlock.run.so_far import SoFar
from interlock.run.spent import Spent
from interlock.run.under_way import CallUnderWay, QuestionUnderWay
from interlock.types.call import ToolCall


@dataclass
class RunContext:
    """What a run knows of itself."""

    input: RunInput
    chain: Chain
    facts: RunFacts = field(default_factory=lambda: RunFacts(agents={}, writers=()))
    workspace: str = ""
    controls: Controls = field(default_factory=Controls)
    stopping: bool = False
    draining: bool = False
    """Whether the run goes on in a new execution of its workflow as soon as everything under way has stopped."""
    approvals: dict[str, PendingApproval] = field(default_factory=dict)
    spent: dict[str, Spent] = field(default_factory=dict)
    calls: int = 0
    requests: int = 0
    so_far: SoFar = field(default_factory=SoFar)
    """What rules may ask about the run."""
    journal: Journal = field(default_factory=Journal)
    """What the workflow's steps have given."""
    calls_under_way: dict[str, CallUnderWay] = field(default_factory=dict)
    """By place."""
    questions_under_way: dict[str, QuestionUnderWay] = field(default_factory=dict)
    """By place."""
    results: dict[str, CallResult] = field(default_factory=dict)
    """By place: of calls whose node still waits for others."""
    answers: dict[str, JsonValue] = field(default_factory=dict)
    """By place: of questions whose agent is at work."""
    answer_models: dict[str, type[BaseModel]] = field(default_factory=dict)
    """By place: of questions that this execution's `steps` has come to. Nothing of them is carried over."""
    mailbox: Mailbox = field(default_factory=Mailbox)
    """What people sent to it."""
    receiving: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Signals are recorded in turn, in the order of their arrival."""
    opened: bool = False
    """Whether its manifest was read: what it listens to is known since then."""
    hand_offs: HandOffs = field(default_factory=HandOffs)
    """Runs that do work for it."""
    deciding: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Calls are decided in turn, so that each knows of all before it."""
    in_flight: int = 0
    """Calls and questions that are under way: the run's last event waits for them."""

    def __post_init__(self) -> None:
        self.chain.follow(self.so_far.feed)

    @property
    def paused(self) -> bool:
        """Whether a person paused it."""
        return self.controls.paused

    @cached_property
    def delegators(self) -> tuple[str, ...]:
        """The agents that handed its work on, outermost first; none where a person started it."""
        delegation = delegation_of(self.input.requester_token)
        return delegation.delegators if delegation is not None else ()

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Hold the run's end back: a call that goes on after its graph was stopped is still recorded."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    async def settled(self) -> None:
        """Stop whatever is under way at its next step, and wait until it has."""
        self.stopping = True
        await workflow.wait_condition(lambda: not self.in_flight)

    async def ready(self) -> None:
        """Wait while the run is paused.

        Raises:
            CancelledError: it is being cancelled.
            Drained: it goes on in a new execution, paused as it is.
        """
        await workflow.wait_condition(lambda: self.stopping or self.draining or not self.paused)
        if self.stopping or stopped():
            raise asyncio.CancelledError("the run, or this branch of it, is being cancelled")
        if self.paused:
            raise Drained

    async def begin(self) -> None:
        """As `ready`, before something that can as well be begun in a new execution."""
        await self.ready()
        if self.drains():
            raise Drained

    def drains(self) -> bool:
        """Whether the history is long enough for a new execution: what a step costs, and how long a worker takes to
        bring a run back into memory, then stays the same however long the run is. Or another build is current."""
        info = workflow.info()
        self.draining = (
            self.draining
            or info.get_current_history_length() >= self.facts.events_an_execution
            or info.is_target_worker_deployment_version_changed()
        )
        return self.draining

    def next_call_id(self) -> str:
        """`RUN:cN`: ours, because a model's own ids may repeat."""
        self.calls += 1
        return f"{self.input.run}:c{self.calls}"

    def next_request_id(self) -> str:
        """`RUN:aN`."""
        self.requests += 1
        return f"{self.input.run}:a{self.requests}"

    def was_opened(self, request: str) -> bool:
        """Whether the run opened a request of this id, now or in an execution before."""
        name, _, number = request.rpartition(":a")
        return name == self.input.run and number.isdecimal() and 0 < int(number[:9]) <= self.requests

    def forget(self, key: str) -> None:
        """Drop what was kept for an agent's turn that has ended."""
        for kept in (self.calls_under_way, self.questions_under_way, self.results, self.answers):
            for place in [place for place in kept if place.startswith(f"{key}/")]:
                del kept[place]

    def asks_about(self, digest: str, *, agent: str, tool: str) -> bool:
        """Whether a call of this digest, by this agent to this tool, is under way."""
        calls = (one.call for one in self.calls_under_way.values() if one.call is not None)
        return any((digest_of(c.as_hashed()), c.agent, c.tool) == (digest, agent, tool) for c in calls)

    def open_requests(self) -> tuple[str, ...]:
        """Ids of the approval requests that wait for people."""
        return tuple(name for name, pending in self.approvals.items() if pending.open)

    def describe(self, call: ToolCall) -> str:
        """One line for summaries in Temporal's own UI."""
        return f"{call.agent} {call.tool} {call.call_id}"
