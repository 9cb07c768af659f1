"""What the ledger hands out: heads, runs, approvals, reservations, alarms, checkpoints. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from interlock.events import GENESIS
from interlock.types.approval import ApprovalVerdict, RequestKind, RequestState
from interlock.types.names import Digest

RunStatus = Literal["running", "paused", "waiting", "completed", "failed", "cancelled"]
"""waiting: at least one approval request is pending. paused: a person paused it (also while requests wait)."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a run's chain ends."""

    count: int
    """How many events are stored."""
    hash: Digest
    """Hash of the last one, or GENESIS."""


EMPTY: Final = Head(0, GENESIS)


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run, as its events tell it. A read model: `verify_run` computes it again."""

    run: str
    tenant: str
    workflow: str
    requester: str
    manifest: Digest
    status: RunStatus
    started_at: datetime
    updated_at: datetime
    """Time of the last event."""
    ended_at: datetime | None
    """Time of `run.ended`, or None while the run may go on."""
    workspace: str
    """The workspace as of the last recorded call; `Ledger.workspace` is the executor's own, newer record."""
    count: int
    head: Digest
    result: str
    """Digest of the result, or empty."""
    detail: str
    """Why it failed or was cancelled; else empty."""
    paused: bool
    waiting: int
    """How many approval requests are pending."""

    @property
    def ended(self) -> bool:
        """Whether `run.ended` is recorded."""
        return self.ended_at is not None

    @property
    def cursor(self) -> str:
        """Give this to `Ledger.runs(before=…)` to read on after this row."""
        return f"{self.started_at.isoformat(timespec='microseconds')} {self.run}"


@dataclass(frozen=True, slots=True)
class VoteRow:
    """One person's decision on a request."""

    approver: str
    verdict: ApprovalVerdict
    at: datetime
    message: str
    edited: str
    """Digest of the edited arguments, or empty."""
    stage: str = ""
    """The stage at which they decided."""
    seat: str = ""
    """The approver for whom they decided; empty: for themselves."""
    emergency: bool = False
    """Whether they broke the glass."""


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """One approval request, as the run's events tell it. A read model: `verify_run` computes it again."""

    request_id: str
    run: str
    tenant: str
    requester: str
    kind: RequestKind
    call_id: str
    tool: str
    agent: str
    rule: str
    reason: str
    route: str
    stage: str
    """The stage that decides; empty where the route has one only."""
    approvers: tuple[str, ...]
    """Who may decide now."""
    quorum: int
    call_digest: str
    subject: str
    requested_at: datetime
    expires_at: datetime
    """The deadline of the stage that decides."""
    ends_at: datetime
    """The latest moment at which it can still be open, through all stages."""
    state: RequestState
    """consumed: the approved call ran. withdrawn: the call or the run ended before anybody decided."""
    decided_by: str
    """Who closed it; empty while open, expired or withdrawn."""
    decided_at: datetime | None
    votes: tuple[VoteRow, ...]


@dataclass(frozen=True, slots=True)
class Reservation:
    """An executor's claim on a call, made before it acts: what it runs, and by which authority."""

    call_id: str
    run: str
    call_digest: Digest
    executor: str
    """Name of the executor process."""
    verdict: str
    rule: str
    bundle: Digest
    request: Digest
    """The access request that the executor decided itself."""
    approvals: tuple[str, ...] = ()
    """Token ids (`jti`) of the approvals that this call consumes."""


@dataclass(frozen=True, slots=True)
class ReserveOutcome:
    """What came of a reservation."""

    state: Literal["reserved", "finished", "in_doubt"]
    """reserved: new; act. finished: it ran before; `result` is what it gave. in_doubt: reserved before and no
    result is known: it may have happened."""
    attempt: int
    """The attempt in force; give it to `complete` or `retake`."""
    executor: str
    """Who holds that attempt."""
    at: datetime
    """When that attempt began."""
    result: bytes = b""
    receipt: str = ""


@dataclass(frozen=True, slots=True)
class CallRow:
    """One reserved call and what became of it."""

    call_id: str
    run: str
    call_digest: Digest
    verdict: str
    rule: str
    bundle: Digest
    request: Digest
    approvals: tuple[str, ...]
    attempt: int
    executor: str
    reserved_at: datetime
    attempted_at: datetime
    finished_at: datetime | None
    result: bytes | None
    receipt: str
    workspace_before: str
    workspace_after: str


@dataclass(frozen=True, slots=True)
class HandOffRow:
    """Work that a call handed on to a run of another agent."""

    call_id: str
    run: str
    """The run that handed it on."""
    child: str
    """The run that does it."""
    agent: str
    delegation: str
    """The executor's signed statement by which the child acts."""


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A standing grant, as the event that made it says; what holds of it, its signed token says."""

    grant: str
    """Its id."""
    tenant: str
    run: str
    request_id: str
    """The request on whose card it was given."""
    by: str
    agent: str
    tool: str
    token: str
    made_at: str
    used: int
    """How often."""
    revoked_by: str
    """Empty: nobody."""
    revoked_at: str


@dataclass(frozen=True, slots=True)
class GrantUse:
    """One use of a grant."""

    grant: str
    number: int
    """From 1."""
    call_id: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that no honest part does, seen by the ledger or an executor."""

    run: str
    kind: str
    """`noun.past_participle`: `event.altered`, `event.forged`, `call.altered`, `result.altered`,
    `approval.reused`, or a caller's own."""
    detail: str
    raised_at: datetime


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed statement of how far a run's chain reached."""

    run: str
    count: int
    head: Digest
    time: datetime
    statement: str
    """The JWS, typ `interlock-checkpoint`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that verification found wrong."""

    seq: int
    """The event, or -1 where the finding is not about one."""
    kind: str
    """The event's kind, or `run`, `approval`, `call`, `workspace`, `checkpoint`."""
    field: str
    message: str
