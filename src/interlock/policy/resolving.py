"""A route as it is written, resolved to the people and hours of one request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from interlock.policy.people import People
from interlock.policy.routes import Calendar, EmergencyEntry, GrantEntry, RouteEntry, StageEntry, Terms
from interlock.types.hours import WorkingHours
from interlock.types.route import Emergency, GrantTerms, PinnedKeys, Route, Stage

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""When nobody asks in particular: only a zone's offsets depend on it."""


@dataclass(frozen=True, slots=True)
class Resolver:
    """For whom a route is resolved, and by which people and calendars."""

    people: People
    calendars: Mapping[str, Calendar]
    zones: Mapping[str, str]
    tenant: str
    """Empty: any."""
    requester: str
    """Never one of those who decide."""
    at: datetime

    def route(self, entry: RouteEntry) -> Route:
        """The route."""
        return Route(
            name=entry.name,
            stages=tuple(self._stage(one) for one in entry.terms),
            teams=tuple(team for one in entry.one_per_team or () if len(team := self._users((one,))) > 1),
            stand_ins=self._users(entry.stand_ins or ()),
            emergency=self._emergency(entry.emergency) if entry.emergency else None,
            grants=_terms(entry.grants) if entry.grants else None,
            pinned=self._pinned(entry) if any(one.passkey for one in entry.terms) else (),
        )

    def _pinned(self, entry: RouteEntry) -> tuple[PinnedKeys, ...]:
        """The keys of everybody who may decide."""
        named = tuple(name for one in entry.terms for name in one.approvers or ())
        breaking = entry.emergency.approvers if entry.emergency else ()
        people = self._users((*named, *(entry.stand_ins or ()), *breaking))
        keys = self.people.passkeys
        return tuple(PinnedKeys(person=one, keys=keys[one]) for one in people if one in keys)

    def _stage(self, terms: Terms) -> Stage:
        written = terms if isinstance(terms, StageEntry) else None
        return Stage(
            name=written.name if written else "",
            approvers=self._users(terms.approvers or (), terms.having or {}),
            quorum=terms.quorum,
            rejections=terms.rejections or 1,
            expires_after_s=terms.expires_after_s,
            at_deadline=(written and written.at_deadline) or "deny",
            only_escalated=bool(written and written.only_escalated),
            remind_after_s=terms.remind_after_s,
            hours=self._hours(terms.hours),
            passkey=bool(terms.passkey),
        )

    def _hours(self, name: str | None) -> WorkingHours | None:
        return self.calendars[name].hours(self.at, self.zones) if name else None

    def _emergency(self, entry: EmergencyEntry) -> Emergency:
        return Emergency(
            people=self._users(entry.approvers),
            reviewers=self._users(entry.reviewers),
            review_within_s=entry.review_within_s,
        )

    def _users(self, references: tuple[str, ...], having: Mapping[str, str] | None = None) -> tuple[str, ...]:
        return tuple(
            user
            for user in self.people.users(references)
            if user != self.requester
            and (not self.tenant or self.people.is_known(user, self.tenant))
            and self.people.has(user, having or {})
        )


def _terms(entry: GrantEntry) -> GrantTerms:
    return GrantTerms(longest_s=entry.longest_s, uses=entry.uses, patterns=bool(entry.patterns))
