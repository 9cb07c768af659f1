"""The types of what stands after an operator in a condition, as they are written and as they are stored.

Stored is canonical JSON, which has no floats: a decimal is stored as `{"decimal": "10.50"}`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeVar, cast

import re2
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from interlock.policy import normal
from interlock.policy.zones import zone_name
from interlock.types.closed import Closed

T = TypeVar("T")
_MAX_INT: Final = 2**53
_MAX_PATTERN: Final = 512
_DECIMAL: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)


class _OneOrList:
    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        many = handler(core)
        return {"anyOf": [many["items"], many]}


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _no_repeats(value: tuple[T, ...]) -> tuple[T, ...]:
    repeated = [item for index, item in enumerate(value) if item in value[:index]]
    if repeated:
        raise ValueError(f"{repeated[0]!r} is given twice")
    return value


Many = Annotated[
    tuple[T, ...],
    Field(min_length=1, max_length=1000),
    BeforeValidator(_listed),
    AfterValidator(_no_repeats),
    _OneOrList(),
]
"""One value, or a list of at least one."""


def _scalar(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"decimal"}:
        value = _decimal(value["decimal"])
    if value is None or isinstance(value, bool | str):
        return value
    return _number(value)


def _decimal(text: Any) -> Decimal:
    if not (isinstance(text, str) and _DECIMAL.fullmatch(text)):
        raise ValueError("must be a number such as 10 or 10.50")
    return Decimal(text)


def _number(value: Any) -> int | Decimal:
    if isinstance(value, dict) and set(value) == {"decimal"}:
        value = _decimal(value["decimal"])
    if isinstance(value, int) and not isinstance(value, bool) and -_MAX_INT < value < _MAX_INT:
        return value
    if isinstance(value, Decimal) and value.is_finite():
        return value
    raise ValueError(f"must be a number such as 10 or 10.50, not {normal.kind(value)}")


def _stored(value: Any) -> Any:
    return {"decimal": format(value, "f")} if isinstance(value, Decimal) else value


def _path(value: str) -> str:
    try:
        normal.path(value)
    except normal.ConditionError as error:
        raise ValueError(f"{value!r}: {error}; no request could match it") from error
    return value


def _host(value: str) -> str:
    try:
        if normal.host(value.removeprefix(".")) != value.removeprefix("."):
            raise normal.ConditionError("write the bare host in lower case")
    except normal.ConditionError as error:
        raise ValueError(f"{value!r}: {error}; write 'example.org', or '.example.org' for what is below") from error
    return value


def regex_options() -> Any:
    """RE2's options: linear time, bounded memory, silent."""
    options = re2.Options()
    options.max_mem = 8 * 1024 * 1024
    options.log_errors = False
    return options


def _pattern(value: str) -> str:
    if len(value) > _MAX_PATTERN:
        raise ValueError(f"the pattern is {len(value)} characters long, the limit is {_MAX_PATTERN}")
    try:
        re2.compile(value, regex_options())
    except re2.error as error:
        text = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"{value!r} is not a pattern that RE2 takes: {text}") from error
    return value


Scalar = Annotated[
    str | int | bool | Decimal | None,
    PlainValidator(_scalar),
    PlainSerializer(_stored),
    WithJsonSchema({"type": ["string", "number", "boolean", "null"]}),
]
Number = Annotated[
    int | Decimal, PlainValidator(_number), PlainSerializer(_stored), WithJsonSchema({"type": "number"})
]
PathText = Annotated[str, AfterValidator(_path)]
HostText = Annotated[str, AfterValidator(_host)]
PatternText = Annotated[str, AfterValidator(_pattern)]
Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Final = cast("tuple[Day, ...]", ("mon", "tue", "wed", "thu", "fri", "sat", "sun"))


class TimeWindow(Closed):
    """A daily window of local time. Where `from` is later than `to`, it ends on the next day."""

    from_: Clock = Field(alias="from")
    """First minute inside, `HH:MM`."""
    to: Clock
    """First minute outside, `HH:MM`."""
    zone: Annotated[str, AfterValidator(zone_name)]
    """IANA time zone, `Europe/Berlin` or `UTC`."""
    days: Many[Day] = DAYS
    """Days on which the window begins."""

    @property
    def minutes(self) -> tuple[int, int]:
        """Both ends in minutes after midnight."""
        first, last = (int(text[:2]) * 60 + int(text[3:]) for text in (self.from_, self.to))
        return first, last
