"""One condition of a rule: which value, which operator, which operand. A closed set, nothing to inject into."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, StringConstraints, model_serializer, model_validator

from interlock.policy.operands import HostText, Many, Number, PathText, PatternText, Scalar, TimeWindow
from interlock.types.access import Closed

Attribute = Literal["resource", "run", "workflow", "time", "requester"]
"""What a condition may address besides the call's arguments."""

ADDRESSES: Final = ("argument", "attribute")

ArgumentName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_-]+)*$", max_length=256)
]


class Condition(Closed):
    """One test: an `argument` or an `attribute`, and exactly one operator."""

    argument: ArgumentName | None = None
    """Name of a call's argument; `options.mode` reaches into an object by key, never by attribute."""
    attribute: Attribute | None = None
    """Something of the request besides its arguments."""
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

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        addressed = [name for name in ADDRESSES if name in self.given]
        operators = [name for name in OPERATORS if name in self.given]
        if len(addressed) != 1 or getattr(self, addressed[0]) is None:
            raise ValueError("a condition needs exactly one of 'argument' and 'attribute'")
        if len(operators) != 1:
            listed = ", ".join(operators) or "none"
            raise ValueError(
                f"a condition needs exactly one operator, found {listed}; known: {', '.join(OPERATORS)}"
            )
        no_window = operators[0] == "time_between" and self.time_between is None
        if (self.attribute == "time") != (operators[0] == "time_between") or no_window:
            raise ValueError(
                "attribute 'time' goes with the operator 'time_between', and neither without the other"
            )
        return self

    @property
    def given(self) -> frozenset[str]:
        """Names of the keys that were written."""
        return frozenset(_written(name) for name in self.model_fields_set)

    @property
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
        return f"arguments.{self.argument}" if self.argument is not None else str(self.attribute)

    @model_serializer(mode="wrap")
    def _only_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Unset operators have meaningless defaults; storing them would make them look given.
        return {_written(k): v for k, v in handler(self).items() if _written(k) in self.given}


def _written(name: str) -> str:
    return "in" if name == "in_" else name


OPERATORS: Final = tuple(_written(name) for name in Condition.model_fields if name not in ADDRESSES)
"""Every operator, in the order of the documentation."""
