"""Who must approve a call, in which order, and what happens when they do not: the obligation of an `ask` decision,
resolved to people.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, Literal

from pydantic import Field, model_validator

from interlock.types.closed import Closed, Slim
from interlock.types.hours import WorkingHours
from interlock.types.names import Name, SubjectName

AtDeadline = Literal["deny", "escalate"]
"""What becomes of a stage that nobody decided in time. escalate: the next stage decides in its place."""

_OF_ONE_STAGE: Final = frozenset({"approvers", "quorum", "expires_after_s"})


class Stage(Slim):
    """One step of a route."""

    name: Name | Literal[""] = ""
    """Empty only where the route has one stage."""
    approvers: tuple[SubjectName, ...]
    """Every `user:` who may decide here, sorted; groups and roles already expanded."""
    quorum: int = Field(default=1, ge=1)
    """How many different approvers must approve."""
    rejections: int = Field(default=1, ge=1)
    """How many must reject to turn the call down; 1: a single one beats every approval."""
    expires_after_s: int = Field(ge=1)
    """Seconds after the stage began, of working time where it has hours."""
    at_deadline: AtDeadline = "deny"
    only_escalated: bool = False
    """Whether it decides only in place of the stage before, when that one's deadline has passed."""
    remind_after_s: tuple[int, ...] = ()
    """Seconds after its beginning, counted as the deadline is; sorted."""
    hours: WorkingHours | None = None
    passkey: bool = False
    """Whether whoever approves, edits or answers must sign that with a passkey."""

    def deadline(self, since: datetime) -> datetime:
        """When it ends, had it begun at `since`."""
        return self._after(since, self.expires_after_s)

    def reminders(self, since: datetime) -> tuple[datetime, ...]:
        """When people are reminded, had it begun at `since`."""
        return tuple(self._after(since, seconds) for seconds in self.remind_after_s)

    def _after(self, since: datetime, seconds: int) -> datetime:
        return self.hours.after(since, seconds) if self.hours else since + timedelta(seconds=seconds)


class Emergency(Closed):
    """Who may let a call run at once, alone, and who looks into it afterwards."""

    people: tuple[SubjectName, ...]
    """Every `user:` who may; sorted."""
    reviewers: tuple[SubjectName, ...]
    """Who must review it, sorted; whoever used it is not one of them."""
    review_within_s: int = Field(ge=1)


class GrantTerms(Closed):
    """Which standing grants approvers may give."""

    longest_s: int = Field(ge=1)
    uses: int = Field(ge=1)
    """At most so often."""
    patterns: bool = False
    """Whether for other arguments than exactly those that were shown."""


class PinnedKeys(Closed):
    """The passkeys that the policy itself has for a person; no other of theirs counts on the route."""

    person: SubjectName
    keys: tuple[str, ...]
    """Public keys (COSE), base64url, sorted."""


class Route(Slim):
    """Who must approve, resolved to people."""

    name: Name
    stages: tuple[Stage, ...] = Field(min_length=1)
    """In order. A route of one stage may be given as that stage's fields instead."""
    teams: tuple[tuple[SubjectName, ...], ...] = ()
    """Of each of these sets of people at most one counts among the approvals of a request."""
    stand_ins: tuple[SubjectName, ...] = ()
    """Who may decide in place of an approver, if that one says so; sorted."""
    emergency: Emergency | None = None
    grants: GrantTerms | None = None
    """Only where it has one stage that one person decides."""
    pinned: tuple[PinnedKeys, ...] = ()
    """Where a stage demands a passkey: whose keys the policy has, by person."""

    @model_validator(mode="before")
    @classmethod
    def _of_one_stage(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "stages" in given:
            return given
        stage = {name: given[name] for name in _OF_ONE_STAGE if name in given}
        return {**{name: value for name, value in given.items() if name not in stage}, "stages": [stage]}

    @property
    def approvers(self) -> tuple[SubjectName, ...]:
        """Everybody who may decide at one stage or another, sorted."""
        return tuple(sorted({name for stage in self.stages for name in stage.approvers}))

    @property
    def quorum(self) -> int:
        """How many approvals it takes if every stage decides in time."""
        return sum(stage.quorum for stage in self.stages if not stage.only_escalated)

    @property
    def expires_after_s(self) -> int:
        """How long a request may stay open: what all its stages give together."""
        return sum(stage.expires_after_s for stage in self.stages)

    def keys_of(self, person: SubjectName) -> tuple[str, ...]:
        """The passkeys that the policy has for a person; none: any that the API registered for them counts."""
        return next((one.keys for one in self.pinned if one.person == person), ())

    def short_of(self) -> Stage | None:
        """The first stage for which too few people are left, where each person counts at one stage only; None: the
        route can be satisfied."""
        seats: dict[str, Stage] = {}
        for stage in self.stages:
            if stage.only_escalated:
                if len(stage.approvers) < stage.quorum:
                    return stage
            elif not all(_seated(stage, seats, set()) for _ in range(stage.quorum)):
                return stage
        return None

    def after(self, place: int, *, escalated: bool) -> int | None:
        """The stage that decides after the one at `place`, which approved or was escalated; None: there is none."""
        for later in range(place + 1, len(self.stages)):
            if escalated or not self.stages[later].only_escalated:
                return later
        return None

    def review(self, by: SubjectName) -> Route:
        """Who reviews that `by` broke the glass."""
        assert self.emergency is not None, "nobody breaks the glass of a route that has none"
        stage = Stage(
            approvers=tuple(name for name in self.emergency.reviewers if name != by),
            expires_after_s=self.emergency.review_within_s,
        )
        return Route(name=self.name, stages=(stage,))

    def last_moment(self, since: datetime) -> datetime:
        """The latest moment at which a request that was opened at `since` can still be open."""
        for stage in self.stages:
            since = stage.deadline(since)
        return since


def _seated(stage: Stage, seats: dict[str, Stage], tried: set[str]) -> bool:
    """Find one more person for a stage, moving others to another stage if need be (Kuhn's matching, 1955)."""
    for name in stage.approvers:
        if name not in tried:
            tried.add(name)
            if name not in seats or _seated(seats[name], seats, tried):
                seats[name] = stage
                return True
    return False
