"""Rules that grant more than anybody means, and guardrails that hold nothing."""

from __future__ import annotations

from collections.abc import Iterator

from interlock.policy.argument_types import closed_values
from interlock.policy.bundle import Bundle
from interlock.policy.compiled import CompiledRule
from interlock.policy.conditions import Condition
from interlock.policy.lint.cover import EVERYBODY
from interlock.policy.lint.coverage import meet
from interlock.policy.lint.finding import LintFinding, finding
from interlock.policy.lint.surroundings import Surroundings
from interlock.policy.references import covered_tools

ENGINE = "interlock."
"""Begins the names of calls that the engine makes itself; they run nothing."""
NEGATIONS = frozenset({"ne", "not_in", "not_under", "no_label"})


def breadth(bundle: Bundle, project: Surroundings | None) -> Iterator[LintFinding]:
    """Rules that are too wide, and guardrails that are about nothing."""
    for rule in bundle.rules:
        entry = f"rules:{rule.id}"
        for code, said, step in (*_allow(bundle, rule), *_negations(rule, project), *_asks(bundle, rule, project)):
            yield finding(code, rule.source, f"rule {rule.id!r} {said}.", step, entry=entry)


Told = Iterator[tuple[str, str, str]]
"""Code, the rest of the sentence, the next step."""


def _allow(bundle: Bundle, rule: CompiledRule) -> Told:
    if rule.rule.effect != "allow" or rule.rule.when or "**" not in (rule.rule.tool or ()):
        return
    tenants = {tenant for known in bundle.people.tenants.values() for tenant in known}
    if rule.agents & EVERYBODY:
        step = "Name the agents or the tools, or add a condition."
        yield "over-broad", "allows every agent every tool, without a condition", step
    elif "*" in rule.rule.tenant and len(tenants) > 1:
        step = "Name the tenants or the tools."
        yield "wide-tenant", f"allows every tool in every one of {len(tenants)} tenants", step


def _negations(rule: CompiledRule, project: Surroundings | None) -> Told:
    if rule.denies or rule.rule.guardrail:
        return
    positive = {c.address for c in rule.rule.when if c.operator not in NEGATIONS}
    for condition in rule.rule.when:
        open_ended = condition.operator in NEGATIONS and condition.address not in positive
        if open_ended and not _closed(rule, condition, project):
            said = f"permits every {condition.address} that it does not list ({condition.operator})"
            step = "List what is permitted (in, under, host_in), or deny the list in a rule of its own."
            yield "open-negation", said, step


def _closed(rule: CompiledRule, condition: Condition, project: Surroundings | None) -> bool:
    """Whether the value is one of a few in each covered tool, so that what is not listed is known."""
    if condition.attribute == "flow":
        return True
    if condition.argument is None or project is None:
        return False
    found = [tool for pattern in rule.rule.tool or () for tool in covered_tools(pattern, project.tools).values()]
    return bool(found) and all(closed_values(tool.parameters, condition.argument) for tool in found)


def _asks(bundle: Bundle, rule: CompiledRule, project: Surroundings | None) -> Told:
    if rule.rule.effect != "ask":
        return
    others = [other for other in bundle.rules if other is not rule and not other.denies]
    if rule.rule.guardrail:
        weaker = (other for other in others if not other.rule.guardrail)
        if not any(meet(rule, other, bundle.people) for other in weaker):
            step = "Correct its tool, agent or tenant, or drop it."
            yield "idle-guardrail", "makes nothing stricter: no rule allows or asks what it is about", step
        return
    engine = set(project.tools) - set(project.places) if project else ()
    own = [tool for tool in rule.rule.tool or () if tool not in engine and not tool.startswith(ENGINE)]
    wide = any("*" in tool for tool in own) or (own and bool(rule.agents & EVERYBODY))
    if wide and not any(o.rule.effect == "allow" and meet(rule, o, bundle.people) for o in others):
        step = "Make it a guardrail (guardrail: true) beside allow rules, or name what it grants."
        yield "ask-grants", "asks people for whatever its wildcards cover, and no rule allows any of it", step
