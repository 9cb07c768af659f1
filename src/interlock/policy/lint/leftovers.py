"""Routes, profiles, prices and labels that are named on one side only; and rules that crowd in one place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Final

from interlock.definitions.manifest import RESERVED_LABELS
from interlock.policy.bundle import Bundle
from interlock.policy.compiled import CompiledRule
from interlock.policy.conditions import LABEL_OPERATORS
from interlock.policy.lint.finding import LintFinding, finding
from interlock.policy.lint.surroundings import Surroundings
from interlock.policy.lint.values import operands
from interlock.policy.problems import did_you_mean

MOST_IN_A_BUCKET: Final = 200
"""Rules about one tool, agent and tenant beyond which each decision about it looks at too many."""


def leftovers(bundle: Bundle, project: Surroundings | None) -> Iterator[LintFinding]:
    """What nothing uses. Profiles, prices and labels are compared with the project's tools and agents."""
    asked = {rule.rule.route for rule in bundle.rules}
    yield from _unused(bundle, "route", set(bundle.routes) - asked, "no rule asks it")
    granted = {name for rule in bundle.rules for name in rule.rule.credentials or ()}
    yield from _unused(bundle, "credential", set(bundle.credentials) - granted, "no rule grants it")
    if project is None:
        return
    named = {rule.rule.profile for rule in bundle.rules} | {tool.profile for tool in project.tools.values()}
    yield from _unused(bundle, "profile", set(bundle.profiles) - named, "no rule and no tool names it")
    if project.models:
        yield from _unused(bundle, "price", set(bundle.prices) - set(project.models), "no agent uses this model")
    yield from _labels(bundle, project)


def _unused(bundle: Bundle, kind: str, names: Iterable[str], why: str) -> Iterator[LintFinding]:
    for name in sorted(names):
        entry = f"{kind}s:{name}"
        step = f"Drop the {kind}, or name it where it was meant."
        yield finding(f"unused-{kind}", bundle.sources[entry], f"{kind} {name!r}: {why}.", step, entry=entry)


def _labels(bundle: Bundle, project: Surroundings) -> Iterator[LintFinding]:
    emitted = {label for tool in project.tools.values() for label in tool.emits} | RESERVED_LABELS
    taken = {label for tool in project.tools.values() for label in tool.declassifies}
    for rule in bundle.rules:
        for condition in rule.rule.when:
            known = taken if condition.attribute == "declassifies" else emitted
            for label in operands(condition) if condition.operator in LABEL_OPERATORS else ():
                if label not in known:
                    said = f"rule {rule.id!r}: no tool gives the label {label!r}{did_you_mean(label, known)}."
                    step = "Correct the label, or declare it at the tool (emits, declassifies)."
                    yield finding("unknown-label", rule.source, said, step, entry=f"rules:{rule.id}")


def buckets(bundle: Bundle, most: int = MOST_IN_A_BUCKET) -> Iterator[LintFinding]:
    """Places of the index with more than `most` rules: a decision about such a call looks at all of them."""
    found: dict[tuple[str, str, str], list[CompiledRule]] = defaultdict(list)
    for rule in bundle.rules:
        tools = {tool.partition("*")[0] for tool in rule.rule.tool or ("**",)}
        for place in product(sorted(tools), sorted(rule.agents), rule.rule.tenant):
            found[place].append(rule)
    for (tool, agent, tenant), rules in sorted(found.items()):
        if len(rules) > most:
            first = rules[0]
            what = repr(tool) if tool else "every tool"
            said = f"{len(rules)} rules are about {what}, agent {agent!r} and tenant {tenant!r}; {most} are many."
            step = "Join rules that differ in one list, or name roles instead of people."
            yield finding("hot-bucket", first.source, said, step, entry=f"rules:{first.id}")
