"""What can only be seen when all files are there: names that nothing defines, cycles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from interlock.policy.content import Content
from interlock.policy.entries import Rule
from interlock.policy.people import People, cycles
from interlock.policy.problems import did_you_mean
from interlock.policy.routes import RouteEntry


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem of one entry, at one of its keys."""

    section: str
    name: str
    key: str
    message: str
    code: str = "unknown-name"


_PLURAL = {"user": "users", "group": "groups", "role": "roles"}


def cross_check(content: Content, also: Mapping[str, frozenset[str]] | None = None) -> Iterator[Finding]:
    """Every reference that leads nowhere.

    Args:
        content: all valid entries.
        also: names by section that were written but are wrong themselves, so that one mistake is told once.
    """
    known = {
        section: frozenset(content.section(section)) | (also or {}).get(section, frozenset())
        for section in ("users", "groups", "roles", "calendars", "routes", "profiles", "credentials")
    }
    yield from _memberships(content, known)
    for rule in content.rules.values():
        yield from _rule(rule, known)


def _memberships(content: Content, known: Mapping[str, frozenset[str]]) -> Iterator[Finding]:
    for section in ("groups", "roles"):
        for name, entry in content.section(section).items():
            yield from _references(section, name, "members", entry.members, known)
    people = People.of(content)
    for loop in cycles(people.members):
        kind, _, name = loop[0].partition(":")
        yield Finding(_PLURAL[kind], name, "members", f"{' and '.join(loop)} contain each other: a cycle", "cycle")
    for route in content.routes.values():
        yield from _route(route, people, known)


def _route(route: RouteEntry, people: People, known: Mapping[str, frozenset[str]]) -> Iterator[Finding]:
    for terms in route.terms:
        yield from _deciders(route.name, "approvers", terms.approvers or (), people, known)
        if terms.hours is not None and terms.hours not in known["calendars"]:
            said = f"unknown calendar {terms.hours!r}{did_you_mean(terms.hours, known['calendars'])}"
            yield Finding("routes", route.name, "hours", said)
    yield from _references("routes", route.name, "one_per_team", route.one_per_team or (), known)
    yield from _deciders(route.name, "stand_ins", route.stand_ins or (), people, known)
    if route.emergency is not None:
        for key in ("approvers", "reviewers"):
            yield from _deciders(route.name, "emergency", getattr(route.emergency, key), people, known)


def _deciders(
    route: str, key: str, references: tuple[str, ...], people: People, known: Mapping[str, frozenset[str]]
) -> Iterator[Finding]:
    named = tuple(one for one in references if one != "user:*")
    yield from _references("routes", route, key, named, known)
    agents = [one for one in people.expand(named) if one.startswith("agent:")]
    if agents:
        yield Finding("routes", route, key, f"{agents[0]!r} would approve: only people approve", "bad-value")


def _rule(rule: Rule, known: Mapping[str, frozenset[str]]) -> Iterator[Finding]:
    yield from _references("rules", rule.id, "agent", rule.agent or (), known)
    yield from _references("rules", rule.id, "requester", rule.requester or (), known)
    yield from _references("rules", rule.id, "notify", rule.notify or (), known)
    named = [("route", "routes", rule.route), ("profile", "profiles", rule.profile)]
    named += [("credentials", "credentials", name) for name in rule.credentials or ()]
    for key, section, name in named:
        if name is not None and name not in known[section]:
            said = f"unknown {section.removesuffix('s')} {name!r}{did_you_mean(name, known[section])}"
            yield Finding("rules", rule.id, key, said)


def _references(
    section: str, name: str, key: str, references: tuple[str, ...], known: Mapping[str, frozenset[str]]
) -> Iterator[Finding]:
    for reference in references:
        kind, _, target = reference.partition(":")
        names = known.get(_PLURAL.get(kind, ""))
        if names is not None and target != "*" and target not in names:
            guess = did_you_mean(target, names)
            yield Finding(section, name, key, f"unknown {kind} {reference!r}{guess}")
