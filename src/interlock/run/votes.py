"""What people decided in one run, as its events prove it: the same state machine that the workflow follows."""

from __future__ import annotations

from dataclasses import dataclass, field

from interlock.approval import AmendClaims, ApprovalClaims, PendingApproval
from interlock.errors import InvalidInput
from interlock.events import (
    ApprovalAdvanced,
    ApprovalDecided,
    ApprovalExpired,
    ApprovalReassigned,
    ApprovalReminded,
    ApprovalWithdrawn,
)
from interlock.signing import Verifier
from interlock.types.approval import ApprovalRequest, RequestKind


@dataclass
class Votes:
    """Requests and the decisions on them, each signed and each in its turn."""

    pending: dict[str, PendingApproval] = field(default_factory=dict)
    """By request id; closed ones too."""
    recorded: set[str] = field(default_factory=set)
    """Nonces of the approvals that are on record; no other lets a call run."""
    turned_down: dict[str, str] = field(default_factory=dict)
    """Call digest → who closed its request without an approval. That is for good: the call runs no more,
    whoever is asked about it afterwards."""
    edits: dict[str, str] = field(default_factory=dict)
    """Call id → blob of the arguments that an approver put in its place."""

    def open(self, request: ApprovalRequest, tenant: str) -> None:
        """Take a request whose route was checked. Raises InvalidInput where its id was used before."""
        if request.request_id in self.pending:
            raise InvalidInput(f"request_id: {request.request_id!r} was used before")
        self.pending[request.request_id] = PendingApproval(request, tenant)

    def decided(self, event: ApprovalDecided, api: Verifier) -> None:
        """Take a decision.

        Raises:
            InvalidInput, Refused, Conflict, TokenRejected: what speaks against it.
        """
        pending = self.of(event.request_id)
        claims = ApprovalClaims.read(api, event.token, now=event.time)
        same("verdict", event.verdict, claims.verdict)
        same("approver", event.approver, claims.sub)
        same("message", event.message, claims.message)
        same("edited", event.edited, claims.edited)
        pending.check(claims, event.time)
        for name in ("stage", "seat", "emergency"):
            same(name, getattr(event, name), getattr(claims, name))
        same("closes", event.closes, pending.take(claims, event.token, event.time))
        self._keep(pending.request, claims, closed=event.closes)

    def advanced(self, event: ApprovalAdvanced) -> None:
        """Take that another stage decides.

        Raises:
            InvalidInput: the one before neither approved nor is past its deadline, or another one follows.
        """
        pending = self.of(event.request_id)
        if event.why == "escalated":
            pending.escalate(event.time)
        for name, said, found in (
            ("stage", event.stage, pending.stage.name),
            ("approvers", event.approvers, pending.deciders),
            ("quorum", event.quorum, pending.stage.quorum),
            ("expires_at", event.expires_at, pending.deadline),
        ):
            same(name, said, found)

    def amended(self, event: ApprovalReassigned | ApprovalWithdrawn, api: Verifier) -> None:
        """Take that a decision was handed on, or a request withdrawn.

        Raises:
            InvalidInput, Refused, Conflict, TokenRejected: what speaks against it.
        """
        pending, claims = self.of(event.request_id), AmendClaims.read(api, event.token, now=event.time)
        verb = "reassign" if isinstance(event, ApprovalReassigned) else "withdraw"
        for name, said, found in (
            ("verb", verb, claims.verb),
            ("by", event.by, claims.sub),
            ("to", getattr(event, "to", ""), claims.to),
            ("reason", event.reason, claims.reason),
        ):
            same(name, said, found)
        pending.check_amendment(claims, event.time)
        pending.amend(claims)
        if verb == "withdraw" and pending.request.call_digest:
            self.turned_down[pending.request.call_digest] = f"{claims.sub} (withdraw)"

    def reminded(self, event: ApprovalReminded) -> None:
        """Take that people were due to be reminded. Raises InvalidInput where they were not."""
        self.of(event.request_id)

    def expired(self, event: ApprovalExpired) -> None:
        """Close a request that nobody decided in time: nothing that is said later counts."""
        self.of(event.request_id).expire()

    def asked(self, about: RequestKind, call_digest: str) -> bool:
        """Whether a request of this kind on a call was opened."""
        requests = (pending.request for pending in self.pending.values())
        return any((one.kind, one.call_digest) == (about, call_digest) for one in requests)

    def approved(self, call_digest: str, about: RequestKind) -> PendingApproval | None:
        """The request of this kind on a call that was approved last, if one was."""
        for pending in reversed(self.pending.values()):
            request = pending.request
            if (request.call_digest, request.kind, pending.state) == (call_digest, about, "approved"):
                return pending
        return None

    def _keep(self, request: ApprovalRequest, claims: ApprovalClaims, *, closed: bool) -> None:
        if claims.verdict == "approve":
            self.recorded.add(claims.jti)
        elif closed and request.call_digest and request.kind != "review":
            self.turned_down[request.call_digest] = f"{claims.sub} ({claims.verdict})"
        if claims.verdict == "edit":
            self.edits[request.call_id] = claims.edited

    def of(self, request_id: str) -> PendingApproval:
        """A request that was opened. Raises InvalidInput where none was."""
        if request_id not in self.pending:
            raise InvalidInput(f"request_id: {request_id!r} was never opened")
        return self.pending[request_id]


def same(name: str, said: object, found: object) -> None:
    """Raises InvalidInput where an event's field is not what its proof says."""
    if said != found:
        raise InvalidInput(f"{name}: the event says {str(said)[:200]!r}, its proof says {str(found)[:200]!r}")
