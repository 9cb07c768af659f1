"""The state of one run, in workflow code: chain, workspace, open approvals, pause, counters."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from temporalio import workflow

from interlock.approval import Controls, PendingApproval
from interlock.run.chain import Chain
from interlock.run.contracts import RunFacts, RunInput
from interlock.run.so_far import SoFar
from interlock.types.call import ToolCall


@dataclass
class Spent:
    """What one agent has used of its limits."""

    steps: int = 0
    tokens: int = 0


@dataclass
class RunContext:
    """What a run knows of itself."""

    input: RunInput
    chain: Chain
    facts: RunFacts = field(default_factory=lambda: RunFacts(agents={}, writers=()))
    workspace: str = ""
    controls: Controls = field(default_factory=Controls)
    stopping: bool = False
    approvals: dict[str, PendingApproval] = field(default_factory=dict)
    spent: dict[str, Spent] = field(default_factory=dict)
    calls: int = 0
    requests: int = 0
    so_far: SoFar = field(default_factory=SoFar)
    """What rules may ask about the run."""
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
        """Wait while the run is paused; raise CancelledError once it is being cancelled."""
        await workflow.wait_condition(lambda: self.stopping or not self.paused)
        if self.stopping:
            raise asyncio.CancelledError("the run is being cancelled")

    def next_call_id(self) -> str:
        """`RUN:cN`: ours, because a model's own ids may repeat."""
        self.calls += 1
        return f"{self.input.run}:c{self.calls}"

    def next_request_id(self) -> str:
        """`RUN:aN`."""
        self.requests += 1
        return f"{self.input.run}:a{self.requests}"

    def open_requests(self) -> tuple[str, ...]:
        """Ids of the approval requests that wait for people."""
        return tuple(name for name, pending in self.approvals.items() if pending.open)

    def describe(self, call: ToolCall) -> str:
        """One line for summaries in Temporal's own UI."""
        return f"{call.agent} {call.tool} {call.call_id}"
