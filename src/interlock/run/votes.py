"""What people decided in one run, as its events prove it: the same state machine that the workflow follows."""

from __future__ import annotations

from dataclasses import dataclass, field

from interlock.approval import ApprovalClaims, PendingApproval
from interlock.errors import InvalidInput
from interlock.events import ApprovalDecided, ApprovalExpired
from interlock.signing import Verifier
from interlock.types.approval import ApprovalRequest


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
        pending = self._of(event.request_id)
        claims = ApprovalClaims.read(api, event.token, now=event.time)
        same("verdict", event.verdict, claims.verdict)
        same("approver", event.approver, claims.sub)
        same("message", event.message, claims.message)
        same("edited", event.edited, claims.edited)
        pending.check(claims, event.time)
        same("closes", event.closes, pending.take(claims, event.token, event.time))
        self._keep(pending.request, claims)

    def expired(self, event: ApprovalExpired) -> None:
        """Close a request that nobody decided in time: nothing that is said later counts."""
        self._of(event.request_id).expire()

    def _keep(self, request: ApprovalRequest, claims: ApprovalClaims) -> None:
        if claims.verdict == "approve":
            self.recorded.add(claims.jti)
        elif request.call_digest:
            self.turned_down[request.call_digest] = f"{claims.sub} ({claims.verdict})"
        if claims.verdict == "edit":
            self.edits[request.call_id] = claims.edited

    def _of(self, request_id: str) -> PendingApproval:
        if request_id not in self.pending:
            raise InvalidInput(f"request_id: {request_id!r} was never opened")
        return self.pending[request_id]


def same(name: str, said: object, found: object) -> None:
    """Raises InvalidInput where an event's field is not what its proof says."""
    if said != found:
        raise InvalidInput(f"{name}: the event says {str(said)[:200]!r}, its proof says {str(found)[:200]!r}")
