"""Routes as people write them in permissions/: stages, deadlines, calendars; and the calendar's resolution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from interlock.policy.durations import duration, seconds
from interlock.policy.operands import DAYS, Clock, Day, Many
from interlock.policy.subjects import ApproverReference, PersonReference
from interlock.policy.written import day
from interlock.policy.zones import zone_from, zone_name
from interlock.types.closed import Closed
from interlock.types.hours import Offset, WorkingHours
from interlock.types.names import Name
from interlock.types.route import AtDeadline

_CARRIED: Final = timedelta(days=400)
"""How far ahead a decision carries its zones' offsets: longer than a route may take."""

Span = Annotated[str, AfterValidator(duration)]
Count = Annotated[int, Field(strict=True, ge=1, le=32)]
Attributes = Annotated[dict[Name, Annotated[str, Field(min_length=1, max_length=128)]], Field(min_length=1)]
Approvers = Many[PersonReference]
"""Users, groups, roles; resolved to users, of whom the requester and other tenants' people drop out. `user:*` goes
with `having` only."""


class Calendar(Closed):
    """When people work: deadlines that name it count these hours alone."""

    name: Name
    zone: Annotated[str, AfterValidator(zone_name)]
    """IANA time zone, `Europe/Berlin` or `UTC`."""
    days: Many[Day] = DAYS[:5]
    from_: Clock = Field(alias="from")
    """First minute inside, `HH:MM`."""
    to: Annotated[str, Field(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
    """First minute outside, `HH:MM`, later than `from` on the same day."""
    holidays: Many[Annotated[date, BeforeValidator(day)]] | None = None
    """Days on which nobody works: `2027-01-01`."""

    @model_validator(mode="after")
    def _opens_first(self) -> Self:
        if _minutes(self.from_) >= _minutes(self.to):
            raise ValueError(f"'to' {self.to} must be later than 'from' {self.from_}")
        return self

    def hours(self, at: datetime, zones: Mapping[str, str]) -> WorkingHours:
        """The calendar for a decision made at `at`, with the offsets of its zone as the bundle carries them."""
        return WorkingHours(
            zone=self.zone,
            days=tuple(sorted(DAYS.index(one) for one in self.days)),
            opens=_minutes(self.from_),
            closes=_minutes(self.to),
            closed_on=tuple(sorted(self.holidays or ())),
            offsets=tuple(_offsets(self.zone, zones[self.zone], at)),
        )


class Terms(Closed):
    """Who decides and until when: of one stage, or of a route that has only one."""

    name: Name
    approvers: Approvers | None = None
    having: Attributes | None = None
    """Only those users who have all of these attributes."""
    quorum: Count = 1
    """How many different people must approve."""
    rejections: Count | None = None
    """How many must reject to turn it down; 1 if left out: a rejection beats every approval."""
    expires_after: Span | None = None
    """`30m`, `4h`, `2d`; after that the call counts as denied, or the next stage decides."""
    hours: Name | None = None
    """A calendar: only its hours count for deadline and reminders."""
    passkey: bool | None = None
    """Whether whoever approves, edits or answers must sign it with a passkey; false if left out."""
    remind_after: Many[Span] | None = None
    """When those who have not decided are reminded."""

    @property
    def expires_after_s(self) -> int:
        """The deadline in seconds after the stage began."""
        return seconds(self.expires_after) if self.expires_after else 0

    @property
    def remind_after_s(self) -> tuple[int, ...]:
        """The reminders in seconds after the stage began, sorted."""
        return tuple(sorted({seconds(text) for text in self.remind_after or ()}))

    def problem(self, whose: str) -> str:
        """Why these are no terms; empty if they are."""
        if self.approvers is None or self.expires_after is None:
            return f"{whose} needs 'approvers' and 'expires_after'"
        if "user:*" in self.approvers and self.having is None:
            return "approvers: 'user:*' goes with 'having', which says who of them"
        late = [text for text in self.remind_after or () if seconds(text) >= self.expires_after_s]
        return f"remind_after: {late[0]} is not before the deadline" if late else ""


class StageEntry(Terms):
    """One step of a route."""

    at_deadline: AtDeadline | None = None
    """deny, if left out; escalate: the next stage decides in this one's place."""
    only_escalated: bool | None = None
    """Whether it decides only where the stage before was escalated."""


class EmergencyEntry(Closed):
    """Breaking the glass: one of these people may let a call run at once, with a reason, and others review it."""

    approvers: Many[ApproverReference]
    reviewers: Many[ApproverReference]
    review_within: Span

    @property
    def review_within_s(self) -> int:
        """How long reviewers have, in seconds."""
        return seconds(self.review_within)


class GrantEntry(Closed):
    """Standing grants that an approver may give on a request of the route."""

    longest: Span
    uses: Annotated[int, Field(strict=True, ge=1, le=10_000)]
    """How often one may be used at most."""
    patterns: bool | None = None
    """Whether for arguments that fit conditions, too; false if left out: exactly those that were shown."""

    @property
    def longest_s(self) -> int:
        """How long one may last, in seconds."""
        return seconds(self.longest)


class RouteEntry(Terms):
    """Who must approve what an `ask` rule asks."""

    stages: Annotated[tuple[StageEntry, ...], Field(min_length=1, max_length=16)] | None = None
    """Several steps, in order, in place of the terms of one."""
    one_per_team: Many[ApproverReference] | None = None
    """Groups or roles of each of which at most one person counts."""
    stand_ins: Many[ApproverReference] | None = None
    """Who may decide in place of an approver, where that one hands the decision on."""
    emergency: EmergencyEntry | None = None
    grants: GrantEntry | None = None
    """Only where one person alone decides: a grant is one approver's word."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if problem := self._problem():
            raise ValueError(problem)
        return self

    @property
    def terms(self) -> tuple[Terms, ...]:
        """The stages, or the only one."""
        return self.stages or (self,)

    @property
    def names(self) -> frozenset[str]:
        """Every group, role and user that it names."""
        own = (*(self.one_per_team or ()), *(self.stand_ins or ()))
        breaking = (*self.emergency.approvers, *self.emergency.reviewers) if self.emergency else ()
        return frozenset((*own, *breaking, *(name for one in self.terms for name in one.approvers or ())))

    @property
    def least(self) -> int:
        """How many approvals it takes if every stage decides in time."""
        return sum(one.quorum for one in self.terms if not (isinstance(one, StageEntry) and one.only_escalated))

    @property
    def longest_s(self) -> int:
        """Seconds that all its stages have together."""
        return sum(one.expires_after_s for one in self.terms)

    def _problem(self) -> str:
        if self.grants is not None and (self.stages is not None or self.quorum > 1):
            return "grants: a grant is one approver's word, and this route asks for more than one"
        if self.stages is None:
            return self.problem("a route without 'stages'")
        # A quorum of 1 is what a stored route without one has.
        own = (name for name, field in Terms.model_fields.items() if getattr(self, name) != field.default)
        if both := sorted({*own} - {"name"}):
            return f"{both[0]!r} goes into the stages of a route that has 'stages'"
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            return f"stages: two are called {next(name for name in names if names.count(name) > 1)!r}"
        if self.stages[-1].at_deadline == "escalate":
            return f"stages: {names[-1]!r} is the last one and has nobody to escalate to"
        if self.stages[0].only_escalated:
            return f"stages: {names[0]!r} is the first one: nothing is escalated to it"
        for before, stage in zip(self.stages, self.stages[1:], strict=False):
            if stage.only_escalated and before.at_deadline != "escalate":
                return f"stages: {stage.name!r} is never reached, since {before.name!r} does not escalate"
        return next((found for stage in self.stages if (found := stage.problem(f"stage {stage.name!r}"))), "")


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def _offsets(name: str, data: str, at: datetime) -> Iterator[Offset]:
    """What the zone's clocks show at `at`, and each change in the time after it."""
    zone, end = zone_from(name, data), at + _CARRIED

    def seconds_at(moment: datetime) -> int:
        offset = moment.astimezone(zone).utcoffset()
        return int(offset.total_seconds()) if offset is not None else 0

    moment = at.astimezone(UTC).replace(second=0, microsecond=0)
    yield Offset(since=moment, seconds=seconds_at(moment))
    while moment < end:
        later = moment + timedelta(days=7)
        if seconds_at(later) != seconds_at(moment):
            low, high = moment, later
            while high - low > timedelta(minutes=1):
                middle = low + timedelta(minutes=(high - low) // timedelta(minutes=2))
                low, high = (middle, high) if seconds_at(middle) == seconds_at(low) else (low, middle)
            yield Offset(since=high, seconds=seconds_at(high))
        moment = later
