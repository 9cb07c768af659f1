"""What each operator tests. Compiled once a bundle; values are compared, never parsed as expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import re2

from interlock.policy import normal
from interlock.policy.normal import ConditionError
from interlock.policy.operands import DAYS, TimeWindow, regex_options
from interlock.policy.zones import zone_from

Test = Callable[[Any], bool]
"""Whether a value passes; raises ConditionError where that cannot be told."""


def _same(value: object, operand: object) -> bool:
    if isinstance(operand, bool) or isinstance(value, bool):
        if isinstance(operand, bool) and isinstance(value, bool):
            return value is operand
        raise ConditionError(f"it is {normal.kind(value)}, the rule compares with {normal.kind(operand)}")
    if isinstance(operand, int | Decimal):
        return normal.number(value, operand) == operand
    if not isinstance(value, str):
        raise ConditionError(f"it is {normal.kind(value)}, the rule compares with text")
    return value == operand


def _eq(operand: object) -> Test:
    return lambda value: _equal_to_one(value, (operand,))


def _ne(operand: object) -> Test:
    return lambda value: not _equal_to_one(value, (operand,))


def _in(operand: tuple[object, ...]) -> Test:
    return lambda value: _equal_to_one(value, operand)


def _not_in(operand: tuple[object, ...]) -> Test:
    return lambda value: not _equal_to_one(value, operand)


def _equal_to_one(value: object, options: tuple[object, ...]) -> bool:
    others = [option for option in options if option is not None]
    if value is None and others and len(others) == len(options):
        raise ConditionError("it is null")
    if value is None or not others:
        return value is None
    errors: list[ConditionError] = []
    for option in others:
        try:
            if _same(value, option):
                return True
        except ConditionError as error:
            errors.append(error)
    if len(errors) == len(others):
        raise errors[0]
    return False


def _lt(operand: int | Decimal) -> Test:
    return lambda value: normal.number(value, operand) < operand


def _le(operand: int | Decimal) -> Test:
    return lambda value: normal.number(value, operand) <= operand


def _gt(operand: int | Decimal) -> Test:
    return lambda value: normal.number(value, operand) > operand


def _ge(operand: int | Decimal) -> Test:
    return lambda value: normal.number(value, operand) >= operand


def _under(operand: tuple[str, ...]) -> Test:
    roots = [normal.path(root) for root in operand]

    def test(value: object) -> bool:
        inner = normal.path(value)
        kinds = [root for root in roots if root[0] == inner[0]]
        return any(normal.is_under(inner, root) for root in kinds or roots)

    return test


def _not_under(operand: tuple[str, ...]) -> Test:
    inside = _under(operand)
    return lambda value: not inside(value)


def _host_in(operand: tuple[str, ...]) -> Test:
    exact = frozenset(host for host in operand if not host.startswith("."))
    below = tuple(host for host in operand if host.startswith("."))

    def test(value: object) -> bool:
        host = normal.host(value)
        return host in exact or host.endswith(below)

    return test


def _matches(operand: str) -> Test:
    pattern = re2.compile(operand, regex_options())

    def test(value: object) -> bool:
        if not isinstance(value, str):
            raise ConditionError(f"it is {normal.kind(value)}, not text")
        return pattern.fullmatch(value) is not None

    return test


def _contains(operand: object) -> Test:
    def test(value: object) -> bool:
        if isinstance(value, str) and isinstance(operand, str):
            return operand in value
        if isinstance(value, list):
            return any(_equal_quietly(item, operand) for item in value)
        raise ConditionError(f"it is {normal.kind(value)}: no list, and not both are text")

    return test


def _equal_quietly(item: object, operand: object) -> bool:
    try:
        return _equal_to_one(item, (operand,))
    except ConditionError:
        return False


def _length_le(operand: int) -> Test:
    def test(value: object) -> bool:
        if not isinstance(value, str | list):
            raise ConditionError(f"it is {normal.kind(value)}, which has no length")
        return len(value) <= operand

    return test


def _label(operand: tuple[str, ...]) -> Test:
    wanted = frozenset(operand)
    return lambda labels: not wanted.isdisjoint(labels)


def _no_label(operand: tuple[str, ...]) -> Test:
    unwanted = frozenset(operand)
    return lambda labels: unwanted.isdisjoint(labels)


def time_between(window: TimeWindow, zones: Mapping[str, str]) -> Test:
    """The test of a time window, in the zone as the bundle carries it."""
    zone = zone_from(window.zone, zones[window.zone])
    first, last = window.minutes

    def test(value: datetime) -> bool:
        local = value.astimezone(zone)
        minute = local.hour * 60 + local.minute
        began = local
        inside = first <= minute < last if first < last else minute >= first or minute < last
        if first >= last and minute < last:
            began = local - timedelta(days=1)
        return inside and DAYS[began.weekday()] in window.days

    return test


TESTS: Final[Mapping[str, Callable[[Any], Test]]] = {
    "eq": _eq,
    "ne": _ne,
    "lt": _lt,
    "le": _le,
    "gt": _gt,
    "ge": _ge,
    "in": _in,
    "not_in": _not_in,
    "under": _under,
    "not_under": _not_under,
    "host_in": _host_in,
    "matches": _matches,
    "contains": _contains,
    "length_le": _length_le,
    "label": _label,
    "no_label": _no_label,
}
"""Each operator but `time_between`, which also needs the bundle's zones."""
