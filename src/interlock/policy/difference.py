"""What a change of the policy does, entry by entry, each with requests that show it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal

from interlock.definitions import ToolSchema
from interlock.policy.bundle import Bundle
from interlock.policy.cases import CaseRequest
from interlock.policy.content import Content
from interlock.policy.crosscheck import cross_check
from interlock.policy.entries import SECTIONS
from interlock.policy.entry_text import belongings, is_looser, told, values
from interlock.policy.mutants import content_of
from interlock.policy.probes import Probes
from interlock.policy.universe import Seed, Universe
from interlock.policy.witness import Witness, candidates, changed_rules, compared

ChangeKind = Literal["added", "removed", "changed", "affected"]
"""affected: the entry is as it was, and what it refers to is not."""

_MOST_TRIED: Final = 1_500
_MOST_RULES: Final = 40


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """One entry that differs, and requests that are decided otherwise because of it."""

    section: str
    """`rules`, `routes`, `people`, `profiles`, `prices`, `credentials`."""
    name: str
    kind: ChangeKind
    source: str
    """`file:line` in the new policy; for what is gone, in the old one; empty for people who are nowhere."""
    fields: tuple[str, ...]
    """What differs, in words: `tool: read_file → read_file, search_code`."""
    witnesses: tuple[Witness, ...] = ()
    """One for each way in which decisions change; empty: no request was found that shows it."""
    looser: bool = False
    """For a profile: a limit grew, or something of it changed that is no limit."""


def policy_changes(
    before: Bundle,
    after: Bundle,
    *,
    seeds: Iterable[Seed] = (),
    tools: Mapping[str, ToolSchema] | None = None,
) -> list[PolicyChange]:
    """Everything that differs in what it decides, by section (rules, routes, people, the rest) and name.

    Args:
        before: one policy.
        after: the other.
        seeds: known requests, so that what is shown looks like them.
        tools: schemas, for tools of which no request is known.
    """
    comparison = _Comparison(before, after, Universe.of((before, after), seeds, tools))
    return [*comparison.rules(), *comparison.routes(), *comparison.people(), *comparison.plain()]


class _Comparison:
    """Two policies, and what requests are made from."""

    def __init__(self, before: Bundle, after: Bundle, universe: Universe) -> None:
        self.before, self.after = before, after
        self.old, self.new = content_of(before), content_of(after)
        self.probes = Probes(before, universe), Probes(after, universe)

    def rules(self) -> Iterator[PolicyChange]:
        """Rules that differ themselves."""
        for name in changed_rules(self.before, self.after):
            found = list(self._decided(candidates(self.probes[0], self.after, [name])))
            own = [one for one in found if name in (one.before.rule, one.after.rule)]
            alone = self._with({"rules": (name,)})
            # What shows only together with another change is told too: leaving it out could hide a widening.
            together = [one for one in own if one.differs == "verdict"]
            yield self._change("rules", name, _by_effect([*self._because_of(alone, own), *together]))

    def routes(self) -> Iterator[PolicyChange]:
        """Routes that differ, or whose people do."""
        for name in sorted({*self.before.routes, *self.after.routes}):
            if _route(self.before, name) != _route(self.after, name):
                asking = [r.id for r in (*self.before.rules, *self.after.rules) if r.rule.route == name]
                tried = (r for rule in dict.fromkeys(asking[:_MOST_RULES]) for r in self._satisfying(rule))
                found = [w for w in self._decided(tried) if w.before.rule == w.after.rule]
                yield self._change("routes", name, _by_effect(found))

    def people(self) -> Iterator[PolicyChange]:
        """Users and agents who have other groups, roles or tenants."""
        old, new = self.before.people, self.after.people
        known = sorted({*old.tenants, *new.tenants, *old.belongs, *new.belongs})
        alone = self._with(dict.fromkeys(("users", "groups", "roles"), ()))
        for name in (name for name in known if name.startswith(("user:", "agent:"))):
            fields = told(belongings(old, name), belongings(new, name))
            if fields:
                # Whom they may approve for is told with the routes.
                found = [one for one in self._decided(self._as_subject(name)) if one.differs == "verdict"]
                kind = _kind(name in old.tenants, name in new.tenants) if name.startswith("user:") else "changed"
                effects = _by_effect(self._because_of(alone, found))
                yield PolicyChange("people", name, kind, self._person(name), tuple(fields), tuple(effects))

    def plain(self) -> Iterator[PolicyChange]:
        """Profiles, prices and credentials: what they change is not in a decision."""
        for section in ("profiles", "prices", "credentials"):
            for name in sorted({*self.old.section(section), *self.new.section(section)}):
                if self.old.section(section).get(name) != self.new.section(section).get(name):
                    yield self._change(section, name, [])

    def _change(self, section: str, name: str, found: Iterable[Witness]) -> PolicyChange:
        old, new = self.old.section(section).get(name), self.new.section(section).get(name)
        fields = told(values(old), values(new)) if old and new else []
        kind = _kind(old is not None, new is not None) if old != new else "affected"
        source = _source(self.new, section, name) or _source(self.old, section, name)
        looser = (
            section == "profiles" and old is not None and new is not None and is_looser(values(old), values(new))
        )
        return PolicyChange(section, name, kind, source, tuple(fields), tuple(found), looser)

    def _with(self, sections: Mapping[str, tuple[str, ...]]) -> Bundle | None:
        """The old policy with these entries (none named: all) as in the new one; None if that is no policy."""
        made = copy.copy(self.old)
        made.sources, made.zones = {**self.new.sources, **self.old.sources}, {**self.new.zones, **self.old.zones}
        for section, names in sections.items():
            own, new = dict(self.old.section(section)), self.new.section(section)
            for name in names or {**own, **new}:
                own.pop(name, None)
                own.update({name: new[name]} if name in new else {})
            setattr(made, section, own)
        return None if any(cross_check(made)) else Bundle.from_content(made)

    def _satisfying(self, rule: str) -> Iterator[CaseRequest]:
        for probes in self.probes:
            if rule in probes.bundle.rule_by_id:
                yield from probes.satisfying(probes.bundle.rule_by_id[rule])

    def _as_subject(self, name: str) -> Iterator[CaseRequest]:
        """What each rule permits or denies, asked by this agent or for this person in each of their tenants."""
        who = "agent" if name.startswith("agent:") else "requester"
        known = [people.tenants.get(name, frozenset()) for people in (self.before.people, self.after.people)]
        tenants = sorted(known[0] | known[1])
        ids = dict.fromkeys(rule.id for bundle in (self.before, self.after) for rule in bundle.rules)
        for rule in islice(ids, _MOST_RULES * 5):
            for request in self._satisfying(rule):
                for tenant in tenants or [request.tenant]:
                    yield request.model_copy(update={who: name, "tenant": tenant})

    def _decided(self, requests: Iterable[CaseRequest]) -> Iterator[Witness]:
        for request in islice(requests, _MOST_TRIED):
            found = compared(self.before, self.after, request)
            if found is not None and found.differs != "rule":
                yield found

    def _because_of(self, alone: Bundle | None, found: Iterable[Witness]) -> list[Witness]:
        """Those that come out the same when only this change is made; all where it cannot be made alone."""
        if alone is None:
            return list(found)
        again = ((one, compared(self.before, alone, one.case)) for one in found)
        return [
            one
            for one, own in again
            if own and (own.differs, own.after.verdict) == (one.differs, one.after.verdict)
        ]

    def _person(self, name: str) -> str:
        kind, _, own = name.partition(":")
        return _source(self.new, f"{kind}s", own) or _source(self.old, f"{kind}s", own)


def _by_effect(found: Iterable[Witness]) -> list[Witness]:
    """The first for each pair of verdicts."""
    kept: dict[tuple[str, str], Witness] = {}
    for one in found:
        kept.setdefault((one.before.verdict, one.after.verdict), one)
    return list(kept.values())


def _route(bundle: Bundle, name: str) -> object:
    return (bundle.routes[name], bundle.route(name)) if name in bundle.routes else None


def _kind(was: bool, is_now: bool) -> ChangeKind:
    if was and is_now:
        return "changed"
    return "added" if is_now else "removed" if was else "affected"


def _source(content: Content, section: str, name: str) -> str:
    return content.sources.get(f"{section}:{name}", "") if section in SECTIONS else ""
