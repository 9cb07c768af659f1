"""What conditions say about the values that they address: which they can evaluate, and which pass."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, NamedTuple

from interlock.policy.conditions import ADDRESSES, LABEL_OPERATORS, NUMBER_OPERATORS, Condition, is_number
from interlock.policy.normal import path

TEXT: Final = frozenset({"text", "decimal", "host", "relative", "absolute"})
"""All text, and the parts of it that some operators take."""
_ALL: Final = TEXT | {"integer", "boolean", "null", "list", "object"}
EQUALITY: Final = frozenset({"eq", "in"})
INEQUALITY: Final = frozenset({"ne", "not_in"})
ORDER: Final = NUMBER_OPERATORS - EQUALITY - INEQUALITY


_ADDRESS_KEYS: Final = frozenset(ADDRESSES)


def operator_of(condition: Condition) -> str:
    """The condition's operator; its own property looks at every key, which is slow where all pairs are compared."""
    (name,) = condition.model_fields_set - _ADDRESS_KEYS
    return "in" if name == "in_" else name


def operand_of(condition: Condition) -> Any:
    """What stands after the operator."""
    (name,) = condition.model_fields_set - _ADDRESS_KEYS
    return getattr(condition, name)


def subject(condition: Condition) -> tuple[str, bool]:
    """What is tested: a value, or the labels of where it came from."""
    return condition.address, operator_of(condition) in LABEL_OPERATORS


def operands(condition: Condition) -> tuple[Any, ...]:
    """What stands after the operator, always as a list."""
    operand = operand_of(condition)
    return operand if isinstance(operand, tuple) else (operand,)


def domain(condition: Condition) -> frozenset[str]:
    """The kinds of value that the condition can evaluate."""
    operator = operator_of(condition)
    if operator in EQUALITY | INEQUALITY:
        return _equality(operands(condition))
    if operator in ORDER:
        return _kinds(operand_of(condition))
    if operator in ("under", "not_under"):
        return frozenset("absolute" if path(root)[0] else "relative" for root in operands(condition))
    if operator == "contains":
        return TEXT | {"list"} if isinstance(operand_of(condition), str) else frozenset({"list"})
    known = {"host_in": frozenset({"host"}), "matches": TEXT, "length_le": TEXT | {"list"}}
    return known.get(operator, frozenset({operator.removeprefix("no_")}))


def _equality(options: tuple[Any, ...]) -> frozenset[str]:
    others = [option for option in options if option is not None]
    if not others:
        return _ALL
    found = frozenset().union(*map(_kinds, others))
    return found if len(others) == len(options) else found | {"null"}


def _kinds(operand: Any) -> frozenset[str]:
    if isinstance(operand, bool):
        return frozenset({"boolean"})
    if isinstance(operand, Decimal):
        return frozenset({"integer", "decimal"})
    return frozenset({"integer"}) if isinstance(operand, int) else TEXT


def coarse(kinds: frozenset[str]) -> frozenset[str]:
    """The kinds with all text as one, so that two sets can be told apart for certain."""
    return frozenset("text" if kind in TEXT else kind for kind in kinds)


class Interval(NamedTuple):
    """Numbers between two ends; None: no end."""

    low: int | Decimal | None
    low_open: bool
    high: int | Decimal | None
    high_open: bool

    def within(self, outer: Interval) -> bool:
        """Whether all of it is in `outer`."""
        low = outer.low is None or (
            self.low is not None
            and (self.low > outer.low or (self.low == outer.low and (self.low_open or not outer.low_open)))
        )
        high = outer.high is None or (
            self.high is not None
            and (self.high < outer.high or (self.high == outer.high and (self.high_open or not outer.high_open)))
        )
        return low and high

    def apart(self, other: Interval) -> bool:
        """Whether no number is in both."""
        return self._below(other) or other._below(self)

    def _below(self, other: Interval) -> bool:
        if self.high is None or other.low is None:
            return False
        return self.high < other.low or (self.high == other.low and (self.high_open or other.low_open))

    def holds(self, value: int | Decimal) -> bool:
        """Whether the number is in it."""
        return Interval(value, False, value, False).within(self)


def interval(condition: Condition) -> Interval:
    """The numbers that pass lt, le, gt or ge. A whole operand takes whole numbers only, so its ends are closed."""
    operator, end = operator_of(condition), operand_of(condition)
    whole = not isinstance(end, Decimal)
    if operator in ("lt", "le"):
        closed = operator == "le"
        return Interval(None, False, end - 1 if whole and not closed else end, not whole and not closed)
    closed = operator == "ge"
    return Interval(end + 1 if whole and not closed else end, not whole and not closed, None, False)


def examples(operand: Any) -> tuple[Any, ...]:
    """The forms in which a request may carry a value that equals the operand."""
    if isinstance(operand, Decimal):
        whole = (int(operand),) if operand == operand.to_integral_value() else ()
        return (format(operand, "f"), *whole)
    return (operand,)


def numeric(values: tuple[Any, ...]) -> bool:
    """Whether all are numbers."""
    return all(is_number(value) for value in values)
