"""Routes as they are written and resolved: stages, attributes, calendars; and what is refused of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from interlock.errors import PolicyError
from interlock.policy import Bundle, decide, load_bundle
from interlock.types import AccessRequest
from interlock.types.hours import Offset, WorkingHours

PEOPLE = """users:
  - {name: alice, tenants: default}
  - {name: bob, tenants: default, attributes: {level: senior, site: berlin}}
  - {name: carol, tenants: default, attributes: {level: senior}}
  - {name: dave, tenants: other, attributes: {level: senior}}
groups:
  - {name: team, members: [user:alice, user:bob]}
rules:
  - {id: asks, effect: ask, owner: o, agent: 'agent:*', tool: pay, route: r}
"""
OFFICE = "calendars:\n  - {name: office, zone: Europe/Berlin, from: '09:00', to: '17:00', holidays: [2026-10-26]}\n"
FRIDAY = datetime(2026, 10, 23, 14, 30, tzinfo=UTC)
"""16:30 in Berlin, two days before the clocks go back; the Monday after is a holiday."""


def loaded(folder: Path, route: str, *, more: str = "") -> Bundle:
    (folder / "policy.yaml").write_text(PEOPLE)
    (folder / "routes.yaml").write_text(f"{more}routes:\n  - {{name: r, {route}}}\n")
    return load_bundle(folder)


def request(at: datetime = FRIDAY, requester: str = "user:alice") -> AccessRequest:
    return AccessRequest(
        tenant="default",
        agent="agent:payer",
        requester=requester,
        tool="pay",
        action="pay",
        resource="",
        arguments={},
        run="run-1",
        workflow="w",
        time=at,
    )


STAGED = (
    "stages: [{name: team, approvers: group:team, expires_after: 1h, at_deadline: escalate}, "
    "{name: lead, approvers: 'user:*', having: {level: senior}, expires_after: 2h, only_escalated: true}, "
    "{name: last, approvers: user:carol, quorum: 1, expires_after: 1d}]"
)


def test_stages_are_resolved_to_people(tmp_path: Path) -> None:
    decision = decide(loaded(tmp_path, STAGED), request())
    assert decision.verdict == "ask"
    assert decision.route is not None
    assert [(stage.name, stage.approvers) for stage in decision.route.stages] == [
        ("team", ("user:bob",)),
        ("lead", ("user:bob", "user:carol")),
        ("last", ("user:carol",)),
    ]
    assert "in 3 stages" in decision.reason


def test_stored_bundle_asks_alike(tmp_path: Path) -> None:
    bundle = loaded(
        tmp_path, STAGED.replace("approvers: user:carol", "approvers: user:carol, hours: office"), more=OFFICE
    )
    assert decide(Bundle.from_bytes(bundle.to_bytes()), request()) == decide(bundle, request())


TWICE = (("a", "group:team"), ("b", "user:bob"))


def test_too_few_people_deny(tmp_path: Path) -> None:
    """Bob is needed at both stages, and a person counts at one."""
    stages = (f"{{name: {name}, approvers: {who}, expires_after: 1h}}" for name, who in TWICE)
    twice = f"stages: [{', '.join(stages)}]"
    decision = decide(loaded(tmp_path, twice), request())
    assert decision.verdict == "deny"
    assert "stage 'b'" in decision.reason
    assert decide(loaded(tmp_path, twice), request(requester="user:carol")).verdict == "ask"


def test_deadline_counts_office_hours_over_a_change_of_clocks(tmp_path: Path) -> None:
    bundle = loaded(
        tmp_path, "approvers: user:bob, expires_after: 2h, hours: office, remind_after: 45m", more=OFFICE
    )
    route = decide(bundle, request()).route
    assert route is not None
    # Half an hour on Friday, no Monday, and on Tuesday the office opens at 8:00 UTC instead of 7:00.
    assert route.stages[0].deadline(FRIDAY) == datetime(2026, 10, 27, 9, 30, tzinfo=UTC)
    assert route.stages[0].reminders(FRIDAY) == (datetime(2026, 10, 27, 8, 15, tzinfo=UTC),)
    assert route.last_moment(FRIDAY) == route.stages[0].deadline(FRIDAY)


def test_passkeys_of_people_travel_where_one_is_demanded(tmp_path: Path) -> None:
    key = "k" * 50
    (tmp_path / "more.yaml").write_text(f"users:\n  - {{name: erin, tenants: default, passkeys: {key}}}\n")
    terms = "approvers: [user:bob, user:erin], expires_after: 1h"
    for demanded, pinned in (("", ()), (", passkey: true", (("user:erin", (key,)),))):
        route = decide(loaded(tmp_path, terms + demanded), request()).route
        assert route is not None
        assert tuple((one.person, one.keys) for one in route.pinned) == pinned
    bundle = loaded(tmp_path, f"{terms}, passkey: true")
    assert decide(Bundle.from_bytes(bundle.to_bytes()), request()) == decide(bundle, request())


def test_calendar_that_hardly_opens_still_ends() -> None:
    hours = WorkingHours(zone="UTC", days=(0,), opens=0, closes=1, offsets=(Offset(since=FRIDAY, seconds=0),))
    assert hours.after(FRIDAY, 365 * 86400) == FRIDAY + timedelta(days=3660)
    assert hours.after(FRIDAY, 60) == datetime(2026, 10, 26, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("route", "why"),
    [
        ("quorum: 1", "needs 'approvers' and 'expires_after'"),
        ("approvers: user:bob", "needs 'approvers' and 'expires_after'"),
        ("approvers: 'user:*', expires_after: 1h", "goes with 'having'"),
        ("approvers: user:bob, expires_after: 1h, remind_after: 1h", "not before the deadline"),
        ("approvers: user:bob, expires_after: 1h, hours: never", "unknown calendar 'never'"),
        ("approvers: user:bob, expires_after: 1h, stand_ins: user:nobody", "nobody"),
        (f"quorum: 2, {STAGED}", "goes into the stages"),
        ("stages: []", "stages"),
        (STAGED.replace("name: lead", "name: team"), "two are called 'team'"),
        (STAGED.replace(", at_deadline: escalate", ""), "never reached"),
        (STAGED.replace("expires_after: 1d", "expires_after: 1d, at_deadline: escalate"), "nobody to escalate to"),
        (STAGED.replace("at_deadline: escalate", "only_escalated: true"), "is the first one"),
        ("approvers: user:bob, expires_after: 1h, emergency: {approvers: user:bob}", "reviewers"),
        ("approvers: user:bob, expires_after: 1h, stages: []", "stages"),
    ],
)
def test_route_that_is_refused(tmp_path: Path, route: str, why: str) -> None:
    with pytest.raises(PolicyError) as refused:
        loaded(tmp_path, route)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("calendar", "why"),
    [
        ("from: '17:00', to: '09:00', zone: UTC", "must be later"),
        ("from: '09:00', to: '17:00', zone: Mars", "unknown time zone"),
        ("from: '09:00', to: '17:00', zone: UTC, days: []", "days"),
        ("from: '09:00', to: '17:00', zone: UTC, holidays: [soon]", "must be a day"),
    ],
)
def test_calendar_that_is_refused(tmp_path: Path, calendar: str, why: str) -> None:
    with pytest.raises(PolicyError) as refused:
        loaded(
            tmp_path, "approvers: user:bob, expires_after: 1h", more=f"calendars:\n  - {{name: c, {calendar}}}\n"
        )
    assert why in str(refused.value)
