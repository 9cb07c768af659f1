"""What crosses a process boundary of a run: workflow input and outcome, activity inputs and outputs, updates.

All of it passes through Temporal, a channel that somebody may write to: the receiving side believes only
what carries a signature or can be derived again.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import AwareDatetime, Field, JsonValue

from interlock.run.packing import Batch
from interlock.types.access import Decision
from interlock.types.call import Artifact, CallStatus, ChildRun, ToolCall, Usage
from interlock.types.closed import Closed, Slim
from interlock.types.egress import EgressRecord
from interlock.types.names import Digest, Name, OptionalDigest, RunId, SubjectName, ToolName

AGENT_RUN: Final = "agent_run"
"""The built-in workflow that runs one agent on one task."""
ASK_TOOL: Final = "interlock.ask"
"""The built-in call by which a graph asks a person; a rule must route it."""
SETTLE_TOOL: Final = "interlock.settle"
"""The built-in call by which a person settles an unknown outcome; a rule must route it."""
HAND_OFF_TOOL: Final = "interlock.hand_off"
"""The built-in call by which an agent hands work on to another; a rule must allow it."""
PUT_TO_PEOPLE: Final = (ASK_TOOL, SETTLE_TOOL)
"""Built-in calls that run nothing: people decide them."""
BUILT_IN_TOOLS: Final = (*PUT_TO_PEOPLE, HAND_OFF_TOOL)


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
    carried: JsonValue = None
    """What an earlier execution of the run carried over (`interlock.run.carried.Carried`); None at its start."""


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
    context: JsonValue = None
    """What the nodes of its graph read as `runtime.context`."""


class RunFacts(Closed):
    """What the workflow must know of its manifest."""

    agents: dict[str, AgentFacts]
    writers: tuple[str, ...]
    """Tools that change the workspace: their calls run one after the other."""
    signals: dict[Name, dict[str, JsonValue]] = Field(default_factory=dict)
    """What the workflow listens to: name → JSON Schema of the value."""
    events_an_execution: int = 450
    """How long Temporal's history of the workflow may be before the run goes on in a new execution."""


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


class SignalSoFar(Closed):
    """A signal that a person sent to the run."""

    value: Digest
    requester: bool
    """Whether it was the run's own requester."""


class RunSoFar(Closed):
    """The run before a call, as its events tell it."""

    events: int = 0
    """How many of its events were read."""
    input: OptionalDigest = ""
    """What the requester said; or, where work was handed on, what the model of another agent wrote."""
    handed_on: bool = False
    """Whether another agent handed the run's work on."""
    inherited: tuple[Name, ...] = ()
    """Labels of the data that this agent had seen."""
    earlier: OptionalDigest = ""
    """Blob of the calls before `calls`: a chunk, which names the one before it. Only workflows leave calls out."""
    signals: tuple[SignalSoFar, ...] = ()
    """What people sent since."""
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
    delegators: tuple[SubjectName, ...] = ()
    """The agents that handed the run's work on, outermost first."""
    tool: str
    arguments: Digest | dict[str, JsonValue]
    """Raw arguments."""
    workspace: OptionalDigest
    edited: bool = False
    """Whether a person wrote the arguments."""
    tool_digest: OptionalDigest = ""
    """The source of the tool as the run's chain has it; empty: it does not know the tool yet."""
    bundle: OptionalDigest = ""
    """The bundle of the decision before."""
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


class ExecuteInput(Slim):
    """Input of activity `execute_call` on the executor's queue. Whose run it is, Temporal's server says."""

    call: str
    """Id of the call, without the run's: `:c3`. What it is, its proposal on record says."""
    approvals: tuple[str, ...] = ()
    """Approval tokens for this call's digest."""
    settled: tuple[str, ...] = ()
    """Approval tokens that let a call of unknown outcome run again."""
    events: Batch
    """Pending events; they are committed before the call runs."""
    give_up: bool = False
    """Of a call that handed work on: whether to end it although the other run has no end on record."""


class HandedOn(Closed):
    """The run that a call's work was handed on to, and what it needs to start."""

    run: RunId
    delegation: str
    """The executor's statement by which it acts."""
    input: JsonValue = None
    """None: it has started."""


class ExecuteOutput(Slim):
    """What the executor did."""

    outcome: Literal["finished", "refused", "ask", "unknown", "handed_on"]
    """finished: it ran, with `receipt`. refused, ask: its own decision was not allow. unknown: the call was
    reserved earlier and its outcome is not on record. handed_on: another run does it, and has not ended."""
    status: CallStatus | Literal[""] = ""
    output: OptionalDigest = ""
    workspace: OptionalDigest | None = None
    """The run's files after it; None: as they were after the events that came with the call."""
    artifacts: tuple[Artifact, ...] = ()
    start: str = ""
    usage: Usage = Usage()
    egress: tuple[EgressRecord, ...] = ()
    """What its sandboxes asked for outside, over all attempts."""
    child: ChildRun | None = None
    """What became of the run to which it handed work on."""
    handed_on: HandedOn | None = None
    receipt: OptionalDigest = ""
    decision: Decision | None = None
    """The executor's own decision, where it refused or asks."""
    detail: str = ""


class CommitInput(Slim):
    """Input of activity `commit_events`. Whose run it is, Temporal's server says."""

    events: Batch
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


class UseGrantInput(Slim):
    """Input of activity `use_grant` on the executor's queue. Whose run it is, Temporal's server says."""

    call: str
    """Id of the call, without the run's."""
    events: Batch
    """Pending events; they are committed first."""


class UseGrantOutput(Slim):
    """The standing grant that lets the call run; empty: none does."""

    grant: str = ""
    number: int = 0
    """Which of its uses this is."""
    token: str = ""


class GrantInput(Closed):
    """Input of update `grant`: an approver's standing grant."""

    token: str


class GrantOutput(Closed):
    """A grant that is on record."""

    grant: str


class AmendInput(Closed):
    """Input of update `amend`: a request is withdrawn, or a decision on it handed on."""

    token: str


class ControlInput(Closed):
    """Input of update `control`: pause, resume or cancel."""

    token: str


class SignalInput(Closed):
    """Input of update `signal`."""

    token: str
    value: JsonValue


class SignalOutput(Closed):
    """What became of a signal."""

    name: Name
    waiting: int
    """How many of this name the workflow has not asked for yet, this one included."""
    events: int


class RunState(Closed):
    """Answer of query `state`."""

    status: Literal["running", "paused", "waiting", "ended"]
    waiting_for: tuple[str, ...] = ()
    """Ids of open approval requests."""
    events: int
    uncommitted: int
