"""The state machine of one approval request: pending → approved | rejected | answered | expired.

Pure; lives in the workflow's state. Time comes from the caller.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from interlock.approval.judge import check_vote
from interlock.approval.tokens import ApprovalClaims
from interlock.errors import Conflict
from interlock.types.approval import ApprovalRequest, RequestState


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's decision, with the token that proves it."""

    claims: ApprovalClaims
    token: str
    at: datetime


@dataclass
class PendingApproval:
    """A request, the votes on it, and what came of it."""

    request: ApprovalRequest
    tenant: str
    votes: list[Vote] = field(default_factory=list)
    state: RequestState = "pending"

    @property
    def open(self) -> bool:
        """Whether it still takes decisions."""
        return self.state == "pending"

    @property
    def last(self) -> Vote:
        """The vote that closed it."""
        return self.votes[-1]

    def check(self, claims: ApprovalClaims, now: datetime) -> None:
        """Refuse a decision before it is written anywhere.

        Raises:
            Conflict: decided already; says by whom and when.
            Refused, InvalidInput: see `check_vote`.
        """
        if not self.open:
            raise Conflict(self._closed())
        check_vote(self.request, claims, tenant=self.tenant, now=now)
        if any(vote.claims.sub == claims.sub for vote in self.votes):
            raise Conflict(f"{claims.sub} decided on {self.request.request_id} already")

    def take(self, claims: ApprovalClaims, token: str, now: datetime) -> bool:
        """Count a checked decision. Returns whether it closed the request."""
        self.votes.append(Vote(claims, token, now))
        if claims.verdict == "approve":
            if len(self.approvals()) >= self.request.route.quorum:
                self.state = "approved"
        else:
            # An edit leaves nothing to approve: the edited call is a new call with a request of its own.
            self.state = "answered" if claims.verdict == "respond" else "rejected"
        return not self.open

    def expire(self) -> None:
        """The deadline passed without a decision."""
        if self.open:
            self.state = "expired"

    def withdraw(self) -> None:
        """Nobody needs to decide any more."""
        if self.open:
            self.state = "withdrawn"

    def approvals(self) -> list[Vote]:
        """The votes that approve."""
        return [vote for vote in self.votes if vote.claims.verdict == "approve"]

    def _closed(self) -> str:
        if self.state == "expired":
            return f"{self.request.request_id} expired at {self.request.expires_at.isoformat()}"
        if self.state == "withdrawn":
            return f"{self.request.request_id} was withdrawn: the step that asked was stopped"
        vote = self.last
        when = vote.at.isoformat(timespec="seconds")
        return f"{self.request.request_id} was decided: {vote.claims.verdict} by {vote.claims.sub} at {when}"
