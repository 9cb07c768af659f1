"""Conditions of one rule that no call can meet together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import combinations
from typing import Any, Final

from interlock.policy.bundle import Bundle
from interlock.policy.compiled import CompiledCondition, CompiledRule
from interlock.policy.conditions import Condition
from interlock.policy.lint.cover import tools_cover
from interlock.policy.lint.finding import LintFinding, finding
from interlock.policy.lint.implication import apart, below_one, host_within
from interlock.policy.lint.values import (
    EQUALITY,
    ORDER,
    Interval,
    coarse,
    domain,
    examples,
    interval,
    numeric,
    operands,
    subject,
)
from interlock.policy.normal import ConditionError

_TEXTS: Final = frozenset({"resource", "run", "workflow", "requester", "flow"})


def contradictions(bundle: Bundle) -> Iterator[LintFinding]:
    """Rules that can never match as they are meant."""
    for rule in bundle.rules:
        entry = f"rules:{rule.id}"
        if said := impossible(rule):
            then = "; it would match only what cannot be evaluated" if rule.strict else "; the rule never matches"
            yield finding(
                "contradictory-conditions",
                rule.source,
                f"rule {rule.id!r}: {said}{then}.",
                "Make two rules of it, or drop the condition that is wrong.",
                entry=entry,
            )
        for condition in rule.conditions:
            own = condition.condition
            if own.attribute in _TEXTS and "text" not in coarse(domain(own)):
                said = f"{own.attribute} is text, which {own.operator!r} never evaluates here"
                step = "Compare it with text."
                yield finding("never-evaluable", rule.source, f"rule {rule.id!r}: {said}.", step, entry=entry)


def impossible(rule: CompiledRule) -> str:
    """Which conditions of the rule cannot hold together; empty: none was found."""
    for condition in rule.conditions:
        if _too_few(rule, condition.condition):
            return f"{condition.text}, which is less than it can be"
    for one, other in combinations(rule.conditions, 2):
        if subject(one.condition) == subject(other.condition) and excludes(one, other):
            return f"{one.text} and {other.text}, which cannot be together"
    return ""


def _too_few(rule: CompiledRule, condition: Condition) -> bool:
    """Whether a number of calls would have to be below 0; or 0, though this call is one of them."""
    if condition.count is None or condition.operator not in ORDER | {"eq"}:
        return False
    own = tools_cover((condition.count.tool,), rule.rule.tool or ("**",))
    possible = Interval(1 if own else 0, False, None, False)
    if condition.operator == "eq":
        return not possible.holds(condition.operand)
    return interval(condition).apart(possible)


def excludes(one: CompiledCondition, other: CompiledCondition) -> bool:
    """Whether no value makes both true."""
    for first, second in ((one, other), (other, one)):
        mine, theirs = first.condition, second.condition
        if mine.operator in EQUALITY:
            return all(_fails(second, operand) for operand in operands(mine))
        known = _EXCLUDES.get((mine.operator, theirs.operator))
        if known is not None and known(operands(mine), operands(theirs)):
            return True
    if one.condition.operator in ORDER and other.condition.operator in ORDER:
        return interval(one.condition).apart(interval(other.condition))
    return coarse(domain(one.condition)).isdisjoint(coarse(domain(other.condition)))


def _fails(condition: CompiledCondition, operand: Any) -> bool:
    """Whether no value that equals the operand passes."""
    numbers = condition.condition.operator in ORDER | EQUALITY and numeric(operands(condition.condition))
    if isinstance(operand, Decimal) and not numbers:
        return False  # one of its many spellings may pass
    return not any(_true(condition, form) for form in examples(operand))


def _true(condition: CompiledCondition, value: Any) -> bool:
    try:
        return condition.test(value)
    except ConditionError:
        return False


def _hosts_apart(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return not any(host_within(m, (t,)) or host_within(t, (m,)) for m in one for t in other)


def _windows_apart(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    (first, last), (opens, closes) = one[0].minutes, other[0].minutes
    if one[0].zone != other[0].zone or first >= last or opens >= closes:
        return False
    return last <= opens or closes <= first or set(one[0].days).isdisjoint(other[0].days)


_EXCLUDES: Final[dict[tuple[str, str], Callable[[tuple[Any, ...], tuple[Any, ...]], bool]]] = {
    ("under", "under"): lambda one, other: all(apart(root, o) for root in one for o in other),
    ("under", "not_under"): lambda one, other: all(below_one(root, other) for root in one),
    ("host_in", "host_in"): _hosts_apart,
    ("time_between", "time_between"): _windows_apart,
    ("label", "no_label"): lambda one, other: set(one) <= set(other),
}
