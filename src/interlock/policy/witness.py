"""A request about which two policies decide differently: the shortest way to say what a change does."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from interlock.definitions import ToolSchema
from interlock.errors import InvalidInput
from interlock.policy.bundle import Bundle
from interlock.policy.cases import CaseRequest
from interlock.policy.compiled import CompiledRule
from interlock.policy.decision import decide
from interlock.policy.entries import Rule
from interlock.policy.fitting import covers, names_tool, view_of
from interlock.policy.probes import CLAUSES, Probes
from interlock.policy.universe import Seed, Universe
from interlock.types.access import AccessRequest, Decision

Differs = Literal["verdict", "terms", "rule"]
"""verdict: allow, ask or deny. terms: the same verdict with another route, profile or obligation. rule: the same
again, by another rule."""

_ORDER: Final[tuple[Differs, ...]] = ("verdict", "terms", "rule")
_MOST_TRIED: Final = 1_000
_MOST_BETTER: Final = 16
"""So many more are tried for a difference that matters more than the first one that was found."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A request and its two decisions."""

    case: CaseRequest
    """As a permission case states it."""
    request: AccessRequest
    """The same as the second policy is asked."""
    before: Decision
    after: Decision
    differs: Differs


def witness(
    before: Bundle,
    after: Bundle,
    rules: Collection[str] = (),
    *,
    seeds: Iterable[Seed] = (),
    tools: Mapping[str, ToolSchema] | None = None,
    least: Differs = "terms",
    probes: Probes | None = None,
) -> Witness | None:
    """The first request found that the two policies decide differently; a different verdict counts before others.

    None means that no candidate told them apart, not that there is no such request. The same arguments give the
    same answer.

    Args:
        before: one policy.
        after: the other.
        rules: ids of rules to probe; left out: all that differ, and all of both where none does.
        seeds: known requests, so that what is made up looks like them.
        tools: schemas, from which arguments are made up for tools of which no request is known.
        least: the least difference that counts.
        probes: those of `before`, if the caller has them already; they know seeds and tools.
    """
    first = probes or Probes(before, Universe.of((before, after), seeds, tools))
    probed = list(rules) or changed_rules(before, after) or sorted({*before.rule_by_id, *after.rule_by_id})
    found: Witness | None = None
    left = _MOST_TRIED
    for request in candidates(first, after, probed):
        left -= 1
        new = compared(before, after, request)
        if new is not None and _ORDER.index(new.differs) <= _ORDER.index(least):
            if found is None:
                left = min(left, _MOST_BETTER)
            if found is None or _ORDER.index(new.differs) < _ORDER.index(found.differs):
                found = new
        if left <= 0 or (found is not None and found.differs == "verdict"):
            break
    return found


def changed_rules(before: Bundle, after: Bundle) -> list[str]:
    """Ids of rules that only one of the two has, or that differ in what they decide, sorted."""
    ids = sorted({*before.rule_by_id, *after.rule_by_id})
    return [name for name in ids if _differ(before.rule_by_id.get(name), after.rule_by_id.get(name))]


def compared(before: Bundle, after: Bundle, case: CaseRequest) -> Witness | None:
    """What the two policies make of a request; None where it is the same, or where it is no request."""
    try:
        first = case.as_request(before)
        second = case.as_request(after)
        old, new = decide(before, first), decide(after, second)
    except (InvalidInput, ValueError):
        return None
    differs = difference(old, new)
    return Witness(case, second, old, new, differs) if differs else None


def difference(before: Decision, after: Decision) -> Differs | None:
    """The most important thing in which two decisions differ."""
    if before.verdict != after.verdict:
        return "verdict"
    if before.verdict != "deny" and _terms(before) != _terms(after):
        return "terms"
    if before.obligations.notify != after.obligations.notify:
        return "terms"
    return "rule" if before.rule != after.rule else None


def _terms(decision: Decision) -> tuple[object, ...]:
    return decision.route, decision.profile, decision.obligations


def _differ(old: CompiledRule | None, new: CompiledRule | None) -> bool:
    if old is None or new is None:
        return True
    return _substance(old.rule) != _substance(new.rule)


def _substance(rule: Rule) -> Rule:
    return rule.model_copy(update={"owner": "", "note": "", "ticket": ""})


def candidates(probes: Probes, after: Bundle, rules: Collection[str]) -> Iterator[CaseRequest]:
    """Requests that a changed rule covers in one of the two policies."""
    before, others = probes.bundle, Probes(after, probes.universe)
    for name in rules:
        old, new = before.rule_by_id.get(name), after.rule_by_id.get(name)
        clauses = changed_clauses(old, new)
        for made, rule in ((probes, old), (others, new)):
            for request in made.of(rule, clauses) if rule is not None else ():
                if touched(before, old, request) or touched(after, new, request):
                    yield request


def touched(bundle: Bundle, rule: CompiledRule | None, request: CaseRequest) -> bool:
    """Whether the rule could have a say in the decision."""
    if rule is None or not names_tool(rule, request.tool):
        return False
    view = view_of(bundle, request)
    return view is not None and covers(rule, view)


def changed_clauses(old: CompiledRule | None, new: CompiledRule | None) -> tuple[str, ...]:
    """Which parts of a rule a request must break to tell its two forms apart: all, unless few parts differ."""
    if old is None or new is None or old.rule.effect != new.rule.effect:
        return CLAUSES
    differ = tuple(name for name in CLAUSES if getattr(old.rule, name) != getattr(new.rule, name))
    return differ or CLAUSES
