"""The state machine of one approval request: from pending, through the stages of its route, to approved, rejected,
answered, expired or withdrawn.

Pure; lives in the workflow's state. Time comes from the caller.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from interlock.approval.amending import AmendClaims
from interlock.approval.judge import Seats, check_about, check_apart, check_emergency, check_person, check_signed
from interlock.approval.tokens import ApprovalClaims
from interlock.errors import Conflict, InvalidInput, Refused
from interlock.types.approval import ApprovalRequest, RequestState
from interlock.types.route import Stage

Lapse = Literal["reminded", "escalated", "expired"]
"""What the passing of time did."""


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
    place: int = 0
    """Which stage of the route decides."""
    since: datetime | None = None
    """When it began; None: with the request."""
    reminded: int = 0
    """How often its people were reminded."""
    passed_over: set[str] = field(default_factory=set)
    """Names of the stages that were escalated."""
    moved: dict[str, str] = field(default_factory=dict)
    """Approver → the person to whom they handed their decision."""

    @property
    def open(self) -> bool:
        """Whether it still takes decisions."""
        return self.state == "pending"

    @property
    def last(self) -> Vote:
        """The vote that closed it."""
        return self.votes[-1]

    @property
    def stage(self) -> Stage:
        """The stage that decides now."""
        return self.request.route.stages[self.place]

    @property
    def began(self) -> datetime:
        """When that stage began."""
        return self.since or self.request.requested_at

    @property
    def deadline(self) -> datetime:
        """When that stage ends."""
        return self.stage.deadline(self.began)

    @property
    def next_moment(self) -> datetime:
        """When time does something next: a reminder, or the deadline."""
        due = self.stage.reminders(self.began)
        return due[self.reminded] if self.reminded < len(due) else self.deadline

    @property
    def deciders(self) -> tuple[str, ...]:
        """Whoever may decide at this stage, with those to whom approvers handed their decision; sorted."""
        return tuple(sorted({self.moved.get(name, name) for name in self.stage.approvers}))

    @property
    def emergency(self) -> ApprovalClaims | None:
        """The decision that broke the glass, if one did."""
        return next((vote.claims for vote in self.votes if vote.claims.emergency), None)

    def check(self, claims: ApprovalClaims, now: datetime) -> None:
        """Refuse a decision before it is written anywhere.

        Raises:
            Conflict: decided already, by whom and when; or another stage decides now.
            Refused: about something else, by somebody who may not, or too late.
            InvalidInput: the verdict does not fit the request, or lacks what it needs.
        """
        if not self.open:
            raise Conflict(self._closed())
        check_about(self.request, claims)
        check_person(claims, requester=self.request.requester, tenant=self.tenant)
        people = {claims.sub, claims.seat or claims.sub}
        for vote in self.votes:
            if not people.isdisjoint((vote.claims.sub, vote.claims.seat or vote.claims.sub)):
                raise Conflict(f"{vote.claims.sub} decided on {self.request.request_id} already")
        if now >= self.deadline:
            raise Refused(f"the request expired at {self.deadline.isoformat()}")
        if claims.emergency:
            check_emergency(claims, self.request.route)
            return
        if claims.stage != self.stage.name:
            raise Conflict(f"stage {self.stage.name!r} decides now, not {claims.stage!r}", next_step="look again")
        Seats(self.moved).seat(claims, self.request.route, self.stage)
        check_signed(claims, (self.stage,), self.request.route)
        if claims.verdict == "approve":
            approved = {name for vote in self.approvals() for name in (vote.claims.sub, vote.claims.seat)}
            check_apart(people, approved, self.request.route)

    def take(self, claims: ApprovalClaims, token: str, now: datetime) -> bool:
        """Count a checked decision. Returns whether it closed the request."""
        self.votes.append(Vote(claims, token, now))
        if claims.emergency:
            self.state = "approved"
        elif claims.verdict == "approve":
            if self._count("approve") >= self.stage.quorum:
                self._go_to(self.request.route.after(self.place, escalated=False), now)
        elif claims.verdict != "reject" or self._count("reject") >= self.stage.rejections:
            # An edit leaves nothing to approve: the edited call is a new call with a request of its own.
            self.state = "answered" if claims.verdict == "respond" else "rejected"
        return not self.open

    def check_amendment(self, claims: AmendClaims, now: datetime) -> None:
        """Refuse a withdrawal or a handing on before it is written anywhere.

        Raises:
            Conflict: it was decided, or handed on before.
            Refused: this person may not, or not to that one.
        """
        if not self.open:
            raise Conflict(self._closed())
        if (claims.run, claims.request, claims.tenant) != (self.request.run, self.request.request_id, self.tenant):
            raise Refused(f"the statement is about {claims.request!r} of tenant {claims.tenant!r}")
        if now >= self.deadline:
            raise Refused(f"the request expired at {self.deadline.isoformat()}")
        if claims.verb == "withdraw":
            if claims.sub != self.request.requester:
                raise Refused(f"only {self.request.requester}, who asked for the run, can withdraw its request")
            return
        self._check_reassignment(claims)

    def amend(self, claims: AmendClaims) -> None:
        """Take a checked withdrawal or handing on."""
        if claims.verb == "withdraw":
            self.state = "withdrawn"
        else:
            self.moved[self._seat_of(claims.sub)] = claims.to

    def lapse(self, now: datetime) -> Lapse | None:
        """What has come due at `now`: one thing at a time, or None."""
        if not self.open or now < self.next_moment:
            return None
        if self.reminded < len(self.stage.remind_after_s):
            self.reminded += 1
            return "reminded"
        if self.stage.at_deadline == "escalate":
            self.escalate(now)
            return "escalated"
        self.expire()
        return "expired"

    def escalate(self, now: datetime) -> None:
        """The stage's deadline passed: the next one decides in its place.

        Raises:
            InvalidInput: it is not open, escalates nothing, or its deadline has not passed.
        """
        if not self.open or self.stage.at_deadline != "escalate" or now < self.deadline:
            raise InvalidInput(f"{self.request.request_id} is not to be escalated now")
        self.passed_over.add(self.stage.name)
        self._go_to(self.request.route.after(self.place, escalated=True), now)

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

    def _count(self, verdict: str) -> int:
        return sum(v.claims.verdict == verdict and v.claims.stage == self.stage.name for v in self.votes)

    def _go_to(self, place: int | None, now: datetime) -> None:
        if place is None:
            self.state = "approved"
        else:
            self.place, self.since, self.reminded = place, now, 0

    def _seat_of(self, person: str) -> str:
        """The approver whose decision a person has: their own, or one that was handed to them."""
        return next((seat for seat, holder in self.moved.items() if holder == person), person)

    def _check_reassignment(self, claims: AmendClaims) -> None:
        seat, route = self._seat_of(claims.sub), self.request.route
        if seat not in self.stage.approvers or self.moved.get(seat, seat) != claims.sub:
            raise Refused(f"{claims.sub} has no decision here that could be handed on")
        if claims.to not in route.stand_ins:
            raise Refused(
                f"route {route.name!r} lets {claims.to or 'nobody'} stand in for nobody",
                next_step=f"it lets {', '.join(route.stand_ins) or 'nobody'}",
            )
        if claims.to == self.request.requester:
            raise Refused(f"{claims.to} asked for this run and cannot decide on it (separation of duties)")
        if claims.to in self.deciders:
            raise Conflict(f"{claims.to} decides here already")
        if any(seat in (vote.claims.sub, vote.claims.seat) for vote in self.votes):
            raise Conflict(f"{claims.sub} decided on {self.request.request_id} already")

    def _closed(self) -> str:
        if self.state == "expired":
            return f"{self.request.request_id} expired at {self.deadline.isoformat()}"
        if self.state == "withdrawn":
            return f"{self.request.request_id} was withdrawn: the step that asked was stopped, or its requester did"
        vote = self.last
        when = vote.at.isoformat(timespec="seconds")
        return f"{self.request.request_id} was decided: {vote.claims.verdict} by {vote.claims.sub} at {when}"
