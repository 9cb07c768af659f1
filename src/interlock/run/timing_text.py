"""When a schedule starts its runs, as people type it: cron lines, intervals, calendar fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pydantic import ValidationError

from interlock.errors import InvalidInput
from interlock.policy.durations import duration, seconds
from interlock.policy.zones import zone_name
from interlock.types.timing import Calendar, Interval, Span, Spans, Timing

_RANGES: Final = {
    "second": (0, 59),
    "minute": (0, 59),
    "hour": (0, 23),
    "day": (1, 31),
    "month": (1, 12),
    "weekday": (0, 7),
    "year": (1970, 9999),
}
_CRON: Final = ("minute", "hour", "day", "month", "weekday")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES: Final[Mapping[str, Mapping[str, int]]] = {
    "month": {name: place for place, name in enumerate(_MONTHS, 1)},
    "weekday": {name: place for place, name in enumerate(_DAYS)},
}
_SHORT: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
_PART: Final = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?")


def timing(*, cron: Sequence[str], every: Sequence[str], calendar: Sequence[str], zone: str) -> Timing:
    """All of it together: a run starts at each moment that one of them names.

    Raises:
        InvalidInput: names the option, the field, and what is wrong.
    """
    try:
        return Timing(
            calendars=(*map(cron_line, cron), *map(calendar_fields, calendar)),
            intervals=tuple(map(interval, every)),
            zone=_zone(zone),
        )
    except ValidationError as error:
        raise InvalidInput(
            "the schedule names no moment", next_step="give --cron, --every or --calendar"
        ) from error


def cron_line(text: str) -> Calendar:
    """`MINUTE HOUR DAY MONTH WEEKDAY`, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.

    Raises:
        InvalidInput: names the field.
    """
    fields = _SHORT.get(text.strip(), text).split()
    if len(fields) != len(_CRON):
        raise InvalidInput(f"--cron: {text!r} has {len(fields)} fields, not minute, hour, day, month and weekday")
    restricted = [name for name, part in zip(_CRON, fields, strict=True) if part != "*"]
    if {"day", "weekday"} <= set(restricted):
        # Cron means either of the two then, a calendar means both: whoever reads it would have to know which.
        raise InvalidInput(
            f"--cron: {text!r} restricts both day and weekday", next_step="give --cron twice, once for each"
        )
    return _calendar("--cron", zip(_CRON, fields, strict=True))


def calendar_fields(text: str) -> Calendar:
    """`FIELD=VALUES …`, for example `hour=9 minute=0,30 weekday=mon-fri`; what is left out is 0 for second, minute
    and hour, and any for the others.

    Raises:
        InvalidInput: names the field.
    """
    pairs = [(name, values) for name, _, values in (part.partition("=") for part in text.split())]
    names = [name for name, _ in pairs]
    for name in names:
        if name not in _RANGES or names.count(name) > 1:
            raise InvalidInput(f"--calendar: {name!r} is given twice or is none of {', '.join(_RANGES)}")
    return _calendar("--calendar", pairs)


def interval(text: str) -> Interval:
    """`DURATION` or `DURATION/OFFSET`, for example `1h/15m`.

    Raises:
        InvalidInput: not a duration, or an offset that is not inside it.
    """
    every, _, offset = text.partition("/")
    try:
        return Interval(every_s=_seconds(every), offset_s=_seconds(offset) if offset else 0)
    except ValueError as error:
        message = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise InvalidInput(f"--every: {text!r}: {message}", next_step="for example 30m, or 1h/15m") from error


def _seconds(text: str) -> int:
    return seconds(duration(text))


def _zone(name: str) -> str:
    try:
        return zone_name(name)
    except ValueError as error:
        raise InvalidInput(f"--zone: {error}") from error


def _calendar(option: str, pairs: Iterable[tuple[str, str]]) -> Calendar:
    return Calendar(**{name: _spans(option, name, text) for name, text in pairs})


def _spans(option: str, field: str, text: str) -> Spans:
    found: list[Span] = []
    for part in text.split(","):
        found += _span(option, field, part)
    return tuple(found)


def _span(option: str, field: str, part: str) -> list[Span]:
    low, high = _RANGES[field]
    match = _PART.fullmatch(part.lower())
    if match is None:
        raise InvalidInput(f"{option}: {field}: {part!r} is neither *, a value, a range nor a step")
    every, first, last, step = match.groups()
    begin = low if every else _value(option, field, first)
    end = high if every or (step and not last) else _value(option, field, last or first)
    try:
        span = Span(first=begin, last=end, step=int(step or 1))
    except ValidationError as error:
        raise InvalidInput(f"{option}: {field}: {part!r}: {error.errors()[0]['msg']}") from error
    return _sunday_is_zero(span, named=not every) if field == "weekday" else [span]


def _sunday_is_zero(span: Span, *, named: bool) -> list[Span]:
    """Cron knows Sunday as 0 and as 7."""
    if span.last < 7:
        return [span]
    days = sorted({day % 7 for day in range(span.first, 8) if span.has(day) and (named or day < 7)})
    return [Span(first=day, last=day) for day in days]


def _value(option: str, field: str, text: str) -> int:
    low, high = _RANGES[field]
    value = _NAMES.get(field, {}).get(text, int(text) if text.isdecimal() and len(text) < 6 else -1)
    if not low <= value <= high:
        raise InvalidInput(f"{option}: {field}: {text!r} is not from {low} to {high}")
    return value
