"""What crosses a process boundary of a run: workflow input and outcome, activity inputs and outputs, updates.

All of it passes through Temporal, a channel that somebody may write to: the receiving side believes only
what carries a signature or can be derived again.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import AwareDatetime, Field, JsonValue

from interlock.types.access import Decision
from interlock.types.call import Artifact, CallStatus, ToolCall, Usage
from interlock.types.closed import Closed
from interlock.types.egress import EgressRecord
from interlock.types.names import Digest, OptionalDigest, RunId, SubjectName, ToolName

AGENT_RUN: Final = "agent_run"
"""The built-in workflow that runs one agent on one task."""
ASK_TOOL: Final = "interlock.ask"
"""The built-in call by which a graph asks a person; a rule must route it."""
SETTLE_TOOL: Final = "interlock.settle"
"""The built-in call by which a person settles an unknown outcome; a rule must route it."""
BUILT_IN_TOOLS: Final = (ASK_TOOL, SETTLE_TOOL)


class RunInput(Closed):
    """Input of every governed workflow."""

    run: RunId
    tenant: str
    workflow: str
    requester: SubjectName
    requester_token: str
    manifest: Digest
    input: JsonValue
    workspace: OptionalDigest = ""


class RunOutcome(Closed):
    """What a governed workflow returns."""

    run: RunId
    status: Literal["completed", "failed", "cancelled"]
    result: OptionalDigest = ""
    workspace: OptionalDigest = ""
    detail: str = ""
    events: int
    head: Digest


class AgentFacts(Closed):
    """What the workflow must know of an agent."""

    model: str
    max_steps: int
    max_tokens: int


class RunFacts(Closed):
    """What the workflow must know of its manifest."""

    agents: dict[str, AgentFacts]
    writers: tuple[str, ...]
    """Tools that change the workspace: their calls run one after the other."""


class OpenRun(Closed):
    """Input of local activity `open_run`: load the manifest, keep the input."""

    manifest: Digest
    workflow: str
    input: JsonValue


class CallSoFar(Closed):
    """An earlier call of the run that counts."""

    tool: ToolName
    arguments: Digest
    proposed_at: AwareDatetime
    edited: bool = False
    """Whether a person wrote its arguments."""
    status: CallStatus | Literal[""] = ""
    """Empty while it is under way."""
    output: OptionalDigest = ""
    carried: tuple[str, ...] = ()
    """Labels that its arguments had."""


class RunSoFar(Closed):
    """The run before a call, as its events tell it."""

    events: int = 0
    """How many of its events were read."""
    input: OptionalDigest = ""
    """What the requester said."""
    calls: tuple[CallSoFar, ...] = ()
    usage: dict[str, tuple[int, int]] = Field(default_factory=dict)
    """Model → tokens read and written."""


class DecideInput(Closed):
    """Input of local activity `decide`."""

    run: RunId
    tenant: str
    workflow: str
    requester: SubjectName
    manifest: Digest
    call_id: str
    agent: str
    tool: str
    arguments: Digest | dict[str, JsonValue]
    """Raw arguments."""
    workspace: OptionalDigest
    edited: bool = False
    """Whether a person wrote the arguments."""
    so_far: RunSoFar
    time: str
    """The workflow's clock, ISO 8601."""


class DecideOutput(Closed):
    """The normalised call and the policy's decision; or why it is no call at all."""

    call: ToolCall | None = None
    decision: Decision | None = None
    carried: tuple[str, ...] = ()
    """Labels that its arguments have."""
    invalid: str = ""
    """The arguments do not fit, or the agent has no such tool: in words for the model."""
    unknown_tool: bool = False


class ExecuteInput(Closed):
    """Input of activity `execute_call` on the executor's queue."""

    call: ToolCall
    approvals: tuple[str, ...] = ()
    """Approval tokens for this call's digest."""
    settled: tuple[str, ...] = ()
    """Approval tokens that let a call of unknown outcome run again."""
    events: list[dict[str, Any]]
    """Pending events; they are committed before the call runs."""


class ExecuteOutput(Closed):
    """What the executor did."""

    outcome: Literal["finished", "refused", "ask", "unknown"]
    """finished: it ran, with `receipt`. refused, ask: its own decision was not allow. unknown: the call was
    reserved earlier and its outcome is not on record."""
    status: CallStatus | Literal[""] = ""
    output: OptionalDigest = ""
    workspace: OptionalDigest = ""
    artifacts: tuple[Artifact, ...] = ()
    start: str = ""
    usage: Usage = Usage()
    egress: tuple[EgressRecord, ...] = ()
    """What its sandboxes asked for outside, over all attempts."""
    receipt: str = ""
    decision: Decision | None = None
    """The executor's own decision, where it refused or asks."""
    detail: str = ""
    committed: int = -1
    """The last event sequence that the ledger holds now."""


class CommitInput(Closed):
    """Input of activity `commit_events`."""

    run: RunId
    events: list[dict[str, Any]]
    final: bool = False
    """Whether the run has ended: the ledger signs a checkpoint over its head."""


class VoteInput(Closed):
    """Input of update `vote`: a person's decision."""

    token: str


class VoteOutput(Closed):
    """What a vote did."""

    request_id: str
    state: str
    closes: bool


class ControlInput(Closed):
    """Input of update `control`: pause, resume or cancel."""

    token: str


class RunState(Closed):
    """Answer of query `state`."""

    status: Literal["running", "paused", "waiting", "ended"]
    waiting_for: tuple[str, ...] = ()
    """Ids of open approval requests."""
    events: int
    uncommitted: int
