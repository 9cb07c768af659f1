"""What one execution of a run's workflow hands to the next: all that the run knows of itself.

A run is one Temporal workflow id and as many executions as its length needs. The chain of events goes on from the
head that is carried; a record whose executions do not fit together is found by `interlock replay`.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, JsonValue

from interlock.approval import ApprovalClaims, Controls, PendingApproval, Vote
from interlock.events import Time
from interlock.graph import CallResult
from interlock.run.chain import Chain
from interlock.run.context import RunContext
from interlock.run.contracts import RunFacts, RunInput
from interlock.run.journal import Ended, Journal
from interlock.run.mailbox import Mailbox
from interlock.run.so_far import CarriedSoFar, SoFar
from interlock.run.spent import Spent
from interlock.run.trail import Trail
from interlock.run.under_way import CallUnderWay, QuestionUnderWay
from interlock.types.approval import ApprovalRequest, RequestState
from interlock.types.closed import Closed
from interlock.types.names import OptionalDigest


class CarriedVote(Closed):
    """One person's decision."""

    token: str
    at: Time


class CarriedRequest(Closed):
    """A request to people, and the votes on it."""

    request: ApprovalRequest
    state: RequestState
    votes: tuple[CarriedVote, ...]
    place: int = 0
    since: Time | None = None
    reminded: int = 0
    passed_over: tuple[str, ...] = ()
    moved: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def of(cls, pending: PendingApproval) -> Self:
        """What must be known of it."""
        votes = tuple(CarriedVote(token=vote.token, at=vote.at) for vote in pending.votes)
        return cls(
            request=pending.request,
            state=pending.state,
            votes=votes,
            place=pending.place,
            since=pending.since,
            reminded=pending.reminded,
            passed_over=tuple(sorted(pending.passed_over)),
            moved=pending.moved,
        )

    def pending(self, tenant: str) -> PendingApproval:
        """The request as it was."""
        votes = [Vote(ApprovalClaims.peek(vote.token), vote.token, vote.at) for vote in self.votes]
        return PendingApproval(
            request=self.request,
            tenant=tenant,
            votes=votes,
            state=self.state,
            place=self.place,
            since=self.since,
            reminded=self.reminded,
            passed_over=set(self.passed_over),
            moved=dict(self.moved),
        )


class Carried(Closed):
    """Everything that goes on."""

    trail: Trail
    facts: RunFacts
    workspace: OptionalDigest
    controls: Controls
    approvals: tuple[CarriedRequest, ...]
    spent: dict[str, Spent]
    calls: int
    requests: int
    so_far: CarriedSoFar
    ended: dict[str, Ended]
    states: dict[str, JsonValue]
    calls_under_way: dict[str, CallUnderWay]
    questions_under_way: dict[str, QuestionUnderWay]
    results: dict[str, CallResult]
    answers: dict[str, JsonValue]
    mailbox: Mailbox
    opened: bool

    @classmethod
    def of(cls, run: RunContext) -> Self:
        """What `run` hands over; every event of it is committed, and nothing of it is at work."""
        assert not run.chain.pending, "what is not committed would be lost"
        return cls(
            trail=run.chain.trail,
            so_far=run.so_far.carried_over(),
            ended=run.journal.ended,
            states=run.journal.states,
            approvals=tuple(CarriedRequest.of(pending) for pending in _needed(run)),
            **{name: getattr(run, name) for name in _AS_THEY_ARE},
        )

    def restored(self, request: RunInput) -> RunContext:
        """The run, to go on from here."""
        chain = Chain(request.run, self.trail)
        return RunContext(
            request,
            chain,
            so_far=SoFar.resumed(self.so_far),
            journal=Journal(ended=dict(self.ended), states=dict(self.states)),
            approvals={one.request.request_id: one.pending(request.tenant) for one in self.approvals},
            **{name: getattr(self, name) for name in _AS_THEY_ARE},
        )


_AS_THEY_ARE = (
    "facts",
    "workspace",
    "controls",
    "spent",
    "calls",
    "requests",
    "calls_under_way",
    "questions_under_way",
    "results",
    "answers",
    "mailbox",
    "opened",
)


def _needed(run: RunContext) -> list[PendingApproval]:
    """Requests that are open, or that let a call run which has not run yet."""
    under_way = (*run.calls_under_way.values(), *run.questions_under_way.values())
    used = {name for one in under_way for name in one.requests.values()}
    return [pending for name, pending in run.approvals.items() if pending.open or name in used]
