"""One condition of a rule: which value, which operator, which operand. A closed set, nothing to inject into."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)

from interlock.policy.operands import HostText, Many, Number, PathText, PatternText, Scalar, TimeWindow
from interlock.policy.patterns import tool_pattern
from interlock.policy.questions import CountOf, Question, SumOf
from interlock.types.closed import Closed
from interlock.types.names import Name

Attribute = Literal[
    "resource",
    "run",
    "workflow",
    "time",
    "requester",
    "tokens",
    "cost",
    "flow",
    "destination",
    "arguments",
    "seen",
    "emits",
    "declassifies",
]
"""What a condition may address besides the call's arguments."""

LABEL_SETS: Final = frozenset({"destination", "arguments", "seen", "emits", "declassifies"})
"""Attributes that are sets of labels: of the where-to arguments, of all arguments, of what the run has seen, of
what the tool returns, of what it takes away."""

RUN_TOTALS: Final = frozenset({"tokens", "cost"})
"""Attributes that are answers about the run so far."""

LABEL_OPERATORS: Final = frozenset({"label", "no_label"})

NUMBER_OPERATORS: Final = frozenset({"eq", "ne", "lt", "le", "gt", "ge"})

ADDRESSES: Final = ("argument", "attribute", "count", "sum", "preceded_by")

ArgumentName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_-]+)*$", max_length=256)
]


class Condition(Closed):
    """One test: an `argument` or an `attribute`, and exactly one operator."""

    argument: ArgumentName | None = None
    """Name of a call's argument; `options.mode` reaches into an object by key, never by attribute."""
    attribute: Attribute | None = None
    """Something of the request besides its arguments."""
    count: CountOf | None = None
    """How many calls of this tool the run has made so far; this one counts if it is one."""
    sum: SumOf | None = None
    """What this argument of these calls adds up to."""
    preceded_by: Annotated[str, AfterValidator(tool_pattern)] | None = None
    """Whether a call of this tool finished well earlier in the run; goes with `eq: true` or `eq: false`."""
    # The defaults below mean nothing: what counts is which keys are given.
    eq: Scalar = None
    """Equal, of the same type."""
    ne: Scalar = None
    """Of the same type and not equal."""
    lt: Number = 0
    """A number below this."""
    le: Number = 0
    """A number at most this."""
    gt: Number = 0
    """A number above this."""
    ge: Number = 0
    """A number of at least this."""
    in_: Annotated[tuple[Scalar, ...], Field(min_length=1, max_length=10_000)] = Field(default=(None,), alias="in")
    """Equal to one of these."""
    not_in: Annotated[tuple[Scalar, ...], Field(min_length=1, max_length=10_000)] = (None,)
    """Equal to none of these."""
    under: Many[PathText] = ("-",)
    """A path that is one of these or below it, by whole segments."""
    not_under: Many[PathText] = ("-",)
    """A path that is neither one of these nor below it."""
    host_in: Many[HostText] = ("-",)
    """A host or https URL: one of these hosts, or below it where it is written `.example.org`."""
    matches: PatternText = ""
    """Text that this RE2 pattern matches from its first to its last character."""
    contains: Scalar = None
    """Text with this text in it, or a list with this item."""
    length_le: Annotated[int, Field(strict=True, ge=0, le=2**32)] = 0
    """Text of at most so many characters, or a list of at most so many items."""
    time_between: TimeWindow | None = None
    """Only with `attribute: time`: the request's own time is in this window."""
    label: Many[Name] = ("x",)
    """The data that the value came from has one of these labels."""
    no_label: Many[Name] = ("x",)
    """It has none of these labels."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        addressed = [name for name in ADDRESSES if name in self.given]
        operators = [name for name in OPERATORS if name in self.given]
        if len(addressed) != 1 or getattr(self, addressed[0]) is None:
            raise ValueError(f"a condition needs exactly one address out of {', '.join(ADDRESSES)}")
        if len(operators) != 1:
            listed = ", ".join(operators) or "none"
            raise ValueError(
                f"a condition needs exactly one operator, found {listed}; known: {', '.join(OPERATORS)}"
            )
        if problem := self._misfit(addressed[0], operators[0]):
            raise ValueError(problem)
        return self

    def _misfit(self, address: str, operator: str) -> str:
        """Why this operator does not go with this address; empty if it does."""
        no_window = operator == "time_between" and self.time_between is None
        if (self.attribute == "time") != (operator == "time_between") or no_window:
            return "attribute 'time' goes with the operator 'time_between', and neither without the other"
        if (operator in LABEL_OPERATORS) != (self.attribute in LABEL_SETS) and address != "argument":
            return f"{_words(sorted(LABEL_SETS))} go with the operators 'label' and 'no_label', and neither without"
        if address == "preceded_by" and not (operator == "eq" and isinstance(self.eq, bool)):
            return "'preceded_by' goes with 'eq: true' or 'eq: false'"
        counted = address in ("count", "sum") or self.attribute in RUN_TOTALS
        if counted and (operator not in NUMBER_OPERATORS or not is_number(self.operand)):
            return f"{address!r} is a number: compare it with one, by {_words(sorted(NUMBER_OPERATORS))}"
        return ""

    @property
    def question(self) -> Question | None:
        """What must be known of the run so far; None where nothing of it is addressed."""
        if self.preceded_by is not None:
            return Question("preceded_by", self.preceded_by)
        if self.attribute == "tokens" or self.attribute == "cost":
            return Question(self.attribute)
        asked = self.count or self.sum
        return asked.question if asked else None

    @property
    def about_labels(self) -> bool:
        """Whether it must be known where the arguments' values came from."""
        return self.operator in LABEL_OPERATORS and self.attribute not in ("emits", "declassifies")

    # Kept, since each evaluation reads them; so a condition is made anew, and never copied with changes.
    @cached_property
    def given(self) -> frozenset[str]:
        """Names of the keys that were written."""
        return frozenset(_written(name) for name in self.model_fields_set)

    @cached_property
    def operator(self) -> str:
        """The one operator, as it is written."""
        return next(name for name in OPERATORS if name in self.given)

    @property
    def operand(self) -> Any:
        """What stands after the operator."""
        return getattr(self, "in_" if self.operator == "in" else self.operator)

    @property
    def address(self) -> str:
        """`arguments.path`, `resource`, …"""
        if self.argument is not None:
            return f"arguments.{self.argument}"
        return self.question.text if self.question else str(self.attribute)

    @model_serializer(mode="wrap")
    def _only_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Unset operators have meaningless defaults; storing them would make them look given.
        return {_written(k): v for k, v in handler(self).items() if _written(k) in self.given}


def _words(names: Iterable[str]) -> str:
    *head, last = (repr(name) for name in names)
    return f"{', '.join(head)} and {last}"


def is_number(value: object) -> bool:
    """Whether an operand is a number; true and false are none."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _written(name: str) -> str:
    return "in" if name == "in_" else name


OPERATORS: Final = tuple(_written(name) for name in Condition.model_fields if name not in ADDRESSES)
"""Every operator, in the order of the documentation."""
