"""The audit events: a closed, versioned union, and the hash chain over a run's events.

Events are computed in workflow code and are pure data, so that replaying Temporal's history recomputes them
and the chain. Each event states what it proves by digest or by signed token; contents are in the blob store.

A chain belongs to one run. `hash` covers every other field of the event; `prev` is the hash before it, and
the first event's `prev` is `GENESIS`.
"""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, TypeAdapter

from interlock.digest import digest_bytes, digest_of
from interlock.errors import IntegrityError
from interlock.types.access import NearestRule, Verdict
from interlock.types.approval import ApprovalVerdict, RequestKind
from interlock.types.call import Artifact, CallStatus, ChildRun, Refusal, Usage
from interlock.types.egress import EgressRecord
from interlock.types.names import Digest, Name, OptionalDigest, RunId, SubjectName

VERSION: Final = 1
GENESIS: Final = digest_bytes(b"interlock run chain, version 1")

Time = Annotated[
    AwareDatetime,
    PlainSerializer(
        lambda t: t.astimezone(UTC).isoformat(timespec="microseconds"), return_type=str, when_used="json"
    ),
]
"""Aware UTC; microseconds are always written, so that equal times have equal bytes."""


class EventBase(BaseModel):
    """The envelope of every event."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    v: Literal[1] = VERSION
    run: RunId
    seq: int = Field(ge=0)
    """Position in the run's chain, from 0, without gaps."""
    time: Time
    """The workflow's clock."""
    prev: Digest
    """Hash of the event before, or GENESIS."""
    hash: OptionalDigest = ""
    """Digest of the canonical bytes of all other fields."""

    def payload(self) -> dict[str, Any]:
        """Every field but `hash`, as the JSON value that is hashed."""
        return self.model_dump(mode="json", exclude={"hash"})

    def computed_hash(self) -> Digest:
        """What `hash` must be."""
        return digest_of(self.payload())


class RunStarted(EventBase):
    """A person started a run; the token proves who, and pins the manifest and the input."""

    kind: Literal["run.started"] = "run.started"
    tenant: str
    workflow: str
    requester: SubjectName
    requester_token: str
    manifest: Digest
    input: Digest
    workspace: OptionalDigest
    """The initial workspace."""
    parent: str = ""
    """The run that handed the work on; empty: a person started it."""
    parent_call: str = ""
    """The call by which it did."""
    delegators: tuple[SubjectName, ...] = ()
    """The agents that handed the work on, outermost first."""
    labels: tuple[Name, ...] = ()
    """Labels of the data that they had seen."""


class AgentStarted(EventBase):
    """An agent began to work on a task inside the run."""

    kind: Literal["agent.started"] = "agent.started"
    agent: SubjectName
    task: Digest
    model: str


class ModelResponded(EventBase):
    """A model answered. Heads are those of the linked transcript."""

    kind: Literal["model.responded"] = "model.responded"
    agent: SubjectName
    model: str
    before: OptionalDigest
    """Head of its transcript before: that of its last reply, or empty. What it saw since is kept with the reply."""
    after: Digest
    """Transcript head with its reply."""
    calls: int = Field(ge=0)
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)


class CallProposed(EventBase):
    """An agent proposed a tool call; arguments are normalised by the tool's schema."""

    kind: Literal["call.proposed"] = "call.proposed"
    call_id: str
    agent: SubjectName
    tool: str
    tool_digest: Digest
    arguments: Digest
    workspace: OptionalDigest
    call_digest: Digest
    edited_from: str = ""
    """The call that an approver edited into this one."""


class CallDecided(EventBase):
    """The policy decided the call. Request and bundle are blobs, so that it can be decided again."""

    kind: Literal["call.decided"] = "call.decided"
    call_id: str
    call_digest: Digest
    verdict: Verdict
    rule: str
    request: Digest
    bundle: Digest
    nearest: NearestRule | None = None
    condition_errors: tuple[str, ...] = ()


class CallRefused(EventBase):
    """The call did not run, and why. `detail` is what the agent read."""

    kind: Literal["call.refused"] = "call.refused"
    call_id: str
    agent: SubjectName
    tool: str
    by: Refusal
    detail: str


class ApprovalRequested(EventBase):
    """People were asked."""

    kind: Literal["approval.requested"] = "approval.requested"
    request_id: str
    about: RequestKind
    call_id: str = ""
    agent: SubjectName
    tool: str = ""
    call_digest: OptionalDigest
    subject: OptionalDigest
    """Blob of what the approver is shown: the arguments, or the question."""
    rule: str
    reason: str
    route: str
    stage: str = ""
    """The route's first stage; empty where it has one only. What follows is about this stage."""
    approvers: tuple[SubjectName, ...]
    quorum: int
    expires_at: Time
    ends_at: Time | None = None
    """The latest moment at which it can still be open, through all stages; None: `expires_at`."""


class ApprovalDecided(EventBase):
    """A person decided. The token is signed by the API that authenticated them."""

    kind: Literal["approval.decided"] = "approval.decided"
    request_id: str
    verdict: ApprovalVerdict
    approver: SubjectName
    token: str
    message: str = ""
    edited: OptionalDigest = ""
    """Blob of the edited arguments."""
    closes: bool
    """Whether the request is now closed (a quorum or a later stage may need more)."""
    stage: str = ""
    """The stage at which they decided."""
    seat: str = ""
    """The approver for whom they decided; empty: for themselves."""
    emergency: bool = False
    """Whether they broke the glass: the call runs on their word alone, and a review is asked for."""


class ApprovalAdvanced(EventBase):
    """Another stage of the route decides now: the one before approved, or its deadline passed."""

    kind: Literal["approval.advanced"] = "approval.advanced"
    request_id: str
    why: Literal["approved", "escalated"]
    stage: str
    approvers: tuple[SubjectName, ...]
    quorum: int
    expires_at: Time


class ApprovalReminded(EventBase):
    """Those who have not decided were due to be reminded."""

    kind: Literal["approval.reminded"] = "approval.reminded"
    request_id: str
    number: int
    """Counting from 1 in the stage."""


class ApprovalReassigned(EventBase):
    """An approver handed their decision on to another person, whom the route lets stand in."""

    kind: Literal["approval.reassigned"] = "approval.reassigned"
    request_id: str
    by: SubjectName
    to: SubjectName
    token: str
    """Their statement, signed by the API."""
    reason: str


class ApprovalWithdrawn(EventBase):
    """The requester of the run withdrew the request: the call does not run."""

    kind: Literal["approval.withdrawn"] = "approval.withdrawn"
    request_id: str
    by: SubjectName
    token: str
    reason: str


class GrantMade(EventBase):
    """An approver gave a standing grant on a request's card: calls like its call run without asking for a while."""

    kind: Literal["grant.made"] = "grant.made"
    grant: str
    """Its id: the token's nonce."""
    request_id: str
    by: SubjectName
    agent: SubjectName
    tool: str
    token: str
    """What it lets run, how often and how long; signed by the API."""


class GrantUsed(EventBase):
    """A standing grant lets a call run about which people would have been asked."""

    kind: Literal["grant.used"] = "grant.used"
    call_id: str
    call_digest: Digest
    grant: str
    number: int
    """Which of its uses this is, from 1."""
    token: str
    """The grant, as in its `grant.made`."""


class ApprovalExpired(EventBase):
    """Nobody decided in time; that denies."""

    kind: Literal["approval.expired"] = "approval.expired"
    request_id: str


class EgressRequested(EventBase):
    """A call's sandbox asked for something outside, and what became of it. The call's receipt signs all of them."""

    kind: Literal["egress.requested"] = "egress.requested"
    call_id: str
    call_digest: Digest
    request: EgressRecord


class CallFinished(EventBase):
    """The executor ran the call, and signed a receipt of it."""

    kind: Literal["call.finished"] = "call.finished"
    call_id: str
    call_digest: Digest
    status: CallStatus
    output: OptionalDigest
    workspace: OptionalDigest
    """The workspace after the call."""
    artifacts: tuple[Artifact, ...] = ()
    start: str = ""
    """Where its container came from: `warm`, `cold`, `leased`, `resumed`."""
    usage: Usage = Usage()
    child: ChildRun | None = None
    """The run to which the call handed work on."""
    receipt: Digest
    """Blob of the receipt: a statement signed by the executor."""


class CallUnknown(EventBase):
    """An external call may or may not have had its effect; a person decides what that means."""

    kind: Literal["call.unknown"] = "call.unknown"
    call_id: str
    call_digest: Digest
    reason: str


class RunPaused(EventBase):
    """A person paused the run; nothing is proposed or executed until it is resumed."""

    kind: Literal["run.paused"] = "run.paused"
    by: SubjectName
    token: str


class RunResumed(EventBase):
    """A person resumed the run."""

    kind: Literal["run.resumed"] = "run.resumed"
    by: SubjectName
    token: str


class RunCancelled(EventBase):
    """The run was cancelled: by a person with a token, or through Temporal, which proves nobody."""

    kind: Literal["run.cancelled"] = "run.cancelled"
    by: str
    """A `user:` with a token, or `temporal`."""
    token: str = ""
    reason: str = ""


class SignalReceived(EventBase):
    """A person sent a value to the run; the token proves who, and binds the value."""

    kind: Literal["signal.received"] = "signal.received"
    name: Name
    value: Digest
    by: SubjectName
    token: str


class AgentFinished(EventBase):
    """An agent came to its end."""

    kind: Literal["agent.finished"] = "agent.finished"
    agent: SubjectName
    status: Literal["completed", "failed", "cancelled"]
    transcript: OptionalDigest
    result: OptionalDigest
    detail: str = ""


class RunEnded(EventBase):
    """The run is over; no call of it will ever run again."""

    kind: Literal["run.ended"] = "run.ended"
    status: Literal["completed", "failed", "cancelled"]
    result: OptionalDigest
    workspace: OptionalDigest
    detail: str = ""
    count: int
    """How many events the run has, this one included: a cut tail shows by itself."""


class RunErased(EventBase):
    """A person had the run's data key erased: its content cannot be read any more. The only event after the end.
    The executor records it; its time is when the person asked."""

    kind: Literal["run.erased"] = "run.erased"
    by: SubjectName
    token: str
    """Their statement, signed by the API."""
    reason: str
    key: str
    """Id of the erased data key; empty: the run had none."""


Event = Annotated[
    RunStarted
    | AgentStarted
    | ModelResponded
    | CallProposed
    | CallDecided
    | CallRefused
    | ApprovalRequested
    | ApprovalDecided
    | ApprovalAdvanced
    | ApprovalReminded
    | ApprovalReassigned
    | ApprovalWithdrawn
    | ApprovalExpired
    | GrantMade
    | GrantUsed
    | EgressRequested
    | CallFinished
    | CallUnknown
    | RunPaused
    | RunResumed
    | RunCancelled
    | SignalReceived
    | AgentFinished
    | RunEnded
    | RunErased,
    Field(discriminator="kind"),
]
"""Any audit event."""

EVENT: Final[TypeAdapter[Event]] = TypeAdapter(Event)
"""Reads an event: `EVENT.validate_python(dict)`, `EVENT.validate_json(bytes)`."""


def sealed(event: Event) -> Event:
    """The event with its hash filled in."""
    return event.model_copy(update={"hash": event.computed_hash()})


def check_chain(events: list[Event], *, run: str, seq: int = 0, prev: Digest = GENESIS) -> None:
    """Check that `events` continue a run's chain from `seq` and `prev`.

    Raises:
        IntegrityError: names the first event that does not fit, and how.
    """
    for event in events:
        where = f"event {event.seq} ({event.kind}) of run {run!r}"
        if event.run != run:
            raise IntegrityError(f"{where}: names run {event.run!r}")
        if event.seq != seq:
            raise IntegrityError(f"{where}: expected event {seq} here")
        if event.prev != prev:
            raise IntegrityError(f"{where}: does not follow the event before it (prev differs)")
        if event.hash != event.computed_hash():
            raise IntegrityError(f"{where}: its fields were altered (hash differs)")
        seq, prev = seq + 1, event.hash
