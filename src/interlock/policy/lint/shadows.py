"""Rules that another rule makes useless: shadowed, overridden, duplicate, redundant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from interlock.policy.bundle import Bundle
from interlock.policy.compiled import CompiledRule
from interlock.policy.lint.contradiction import impossible
from interlock.policy.lint.cover import EVERYBODY
from interlock.policy.lint.coverage import covers
from interlock.policy.lint.finding import LintFinding, finding
from interlock.policy.people import People

OBLIGATIONS = ("guardrail", "route", "profile", "egress", "credentials", "limits", "redact", "notify")


def shadows(bundle: Bundle) -> Iterator[LintFinding]:
    """Each useless rule once, with the strongest rule that makes it so."""
    candidates = _Candidates(bundle.rules, bundle.people)
    for position, rule in enumerate(bundle.rules):
        if impossible(rule):
            continue
        wide = [bundle.rules[p] for p in candidates.of(rule) if p != position]
        stronger = [
            other for other in wide if candidates.position[other.id] < position and _can_shadow(other, rule)
        ]
        found = next((other for other in stronger if covers(other, rule, bundle.people)), None)
        if found is not None:
            yield _shadowed(bundle, rule, found)
        elif (same := _redundant(bundle, rule, wide)) is not None:
            said = f"rule {rule.id!r} grants only what {same.id!r} ({same.source}) grants alike."
            step = f"Drop {rule.id!r}, or narrow {same.id!r}."
            yield finding("redundant-rule", rule.source, said, step, entry=f"rules:{rule.id}")


class _Candidates:
    """Finds the rules that could cover a rule, so that not every pair is looked at."""

    def __init__(self, rules: Sequence[CompiledRule], people: People) -> None:
        self.people = people
        self.position = {rule.id: position for position, rule in enumerate(rules)}
        self._filed: dict[tuple[str, str], list[int]] = defaultdict(list)
        for position, rule in enumerate(rules):
            tools = {"*" if "*" in tool else tool for tool in rule.rule.tool or ("**",)}
            agents = {"*" if agent in EVERYBODY else agent for agent in rule.agents}
            for tool in tools:
                for agent in agents:
                    self._filed[tool, agent].append(position)

    def of(self, rule: CompiledRule) -> list[int]:
        """Positions of all rules that could cover it, strongest first: those about one of its tools and agents."""
        tool = min(rule.rule.tool or ("**",))
        agent = min(rule.agents)
        members = [name for name in self.people.expand((agent,)) if name.startswith("agent:")]
        names = {"*"} if agent in EVERYBODY else self.people.names_of(agent) | {"*"}
        names |= self.people.names_of(members[0]) if members and agent not in EVERYBODY else set()
        tools = {"*"} if "*" in tool else {tool, "*"}
        return sorted({position for t in tools for name in names for position in self._filed.get((t, name), ())})


def _can_shadow(strong: CompiledRule, weak: CompiledRule) -> bool:
    # A guardrail needs a rule that grants, so that it never makes that one useless.
    return not strong.rule.guardrail or weak.rule.guardrail


def _outcome(rule: CompiledRule) -> tuple[Any, ...]:
    return rule.rule.effect, *(getattr(rule.rule, name) for name in OBLIGATIONS)


def _shadowed(bundle: Bundle, rule: CompiledRule, by: CompiledRule) -> LintFinding:
    where, entry = f"{by.id!r} ({by.source})", f"rules:{rule.id}"
    if _outcome(rule) == _outcome(by) and covers(rule, by, bundle.people):
        said = f"rule {rule.id!r} says what {where} says."
        return finding("duplicate-rule", rule.source, said, "Keep one of the two.", entry=entry)
    if by.denies and not rule.denies:
        said = f"rule {rule.id!r} never {rule.rule.effect}s: {where} denies all that it covers."
        step = f"Drop {rule.id!r}, or narrow the deny rule."
        return finding("overridden-rule", rule.source, said, step, entry=entry)
    said = f"rule {rule.id!r} never decides: {where} always comes first."
    step = f"Drop {rule.id!r}, or narrow {by.id!r}."
    return finding("shadowed-rule", rule.source, said, step, entry=entry)


def _redundant(bundle: Bundle, rule: CompiledRule, wide: Sequence[CompiledRule]) -> CompiledRule | None:
    if rule.denies or rule.rule.guardrail:
        return None
    same = (other for other in wide if _outcome(other) == _outcome(rule))
    # Where each covers the other, the weaker one is told as a duplicate.
    wider = (o for o in same if covers(o, rule, bundle.people) and not covers(rule, o, bundle.people))
    return next(wider, None)
