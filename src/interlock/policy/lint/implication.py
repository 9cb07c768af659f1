"""Whether one condition holds wherever another does: operator by operator, and "no" where it is not certain."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from interlock.policy.compiled import CompiledCondition
from interlock.policy.conditions import Condition
from interlock.policy.lint.values import (
    EQUALITY,
    INEQUALITY,
    ORDER,
    domain,
    examples,
    interval,
    numeric,
    operands,
    operator_of,
    subject,
)
from interlock.policy.normal import ConditionError, is_under, path


def implies(given: CompiledCondition, wanted: CompiledCondition, *, lenient: bool, strict: bool) -> bool:
    """Whether `wanted` counts as true wherever `given` does.

    Args:
        given: a condition of the rule that is covered.
        wanted: a condition of the rule that covers.
        lenient: `given` counts as true also where it cannot be evaluated (in rules that ask or deny).
        strict: `wanted` does.
    """
    one, other = given.condition, wanted.condition
    if subject(one) != subject(other):
        return False
    if lenient and not (strict and domain(other) <= domain(one)):
        return False
    if operator_of(one) == operator_of(other) and repr(operands(one)) == repr(operands(other)):
        return True  # 5 and 5.00 are equal, and evaluate other values
    if operator_of(one) in EQUALITY:
        return all(_passes(wanted, operand, strict=strict) for operand in operands(one))
    if not strict and not domain(one) <= domain(other):
        return False
    return _follows(one, other)


def _passes(wanted: CompiledCondition, operand: Any, *, strict: bool) -> bool:
    """Whether each value that equals the operand passes."""
    forms = examples(operand)
    if len(forms) > 1 or forms[0] is not operand:
        # A decimal has many spellings: only operators that compare numbers treat them alike.
        if operator_of(wanted.condition) not in ORDER | EQUALITY | INEQUALITY:
            return False
        if not numeric(operands(wanted.condition)):
            return False
    return all(_test(wanted, form, strict=strict) for form in forms)


def _test(wanted: CompiledCondition, value: Any, *, strict: bool) -> bool:
    try:
        return wanted.test(value)
    except ConditionError:
        return strict


def _follows(one: Condition, other: Condition) -> bool:
    given, wanted = operator_of(one), operator_of(other)
    if given in ORDER and wanted in ORDER:
        return interval(one).within(interval(other))
    if given in ORDER and wanted in INEQUALITY:
        return numeric(operands(other)) and not any(interval(one).holds(n) for n in operands(other))
    if given in INEQUALITY and wanted in INEQUALITY:
        listed = {(type(item), item) for item in operands(one)}
        return all((type(item), item) in listed for item in operands(other))
    known = _FOLLOWS.get((given, wanted))
    return known is not None and known(operands(one), operands(other))


Texts = tuple[str, ...]


def below_one(root: str, roots: Iterable[str]) -> bool:
    """Whether a path is one of `roots` or below it."""
    inner = path(root)
    return any(inner[0] == path(r)[0] and is_under(inner, path(r)) for r in roots)


def apart(root: str, other: str) -> bool:
    """Whether no path is under both."""
    return not below_one(root, (other,)) and not below_one(other, (root,))


def host_within(host: str, hosts: Iterable[str]) -> bool:
    """Whether all that `host` stands for (`.example.org`: what is below) is among `hosts`."""
    return any(host == known or (known.startswith(".") and host.endswith(known)) for known in hosts)


def _windows(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    inner, outer = one[0], other[0]
    if inner.zone != outer.zone or not set(inner.days) <= set(outer.days):
        return False
    (first, last), (opens, closes) = inner.minutes, outer.minutes
    same = (first, last) == (opens, closes)
    return same or (first < last and opens < closes and opens <= first and last <= closes)


_FOLLOWS: Final[dict[tuple[str, str], Callable[[tuple[Any, ...], tuple[Any, ...]], bool]]] = {
    ("under", "under"): lambda one, other: all(below_one(root, other) for root in one),
    ("under", "not_under"): lambda one, other: all(apart(root, o) for root in one for o in other),
    ("not_under", "not_under"): lambda one, other: all(below_one(root, one) for root in other),
    ("host_in", "host_in"): lambda one, other: all(host_within(host, other) for host in one),
    ("length_le", "length_le"): lambda one, other: one[0] <= other[0],
    ("time_between", "time_between"): _windows,
    ("label", "label"): lambda one, other: set(one) <= set(other),
    ("no_label", "no_label"): lambda one, other: set(other) <= set(one),
}
"""What of the operand lists makes the second operator hold wherever the first does."""
