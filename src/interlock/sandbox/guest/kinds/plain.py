"""JSON that a program or a server wrote, as values that results may have: no floats, no large integers."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

_LARGEST = 2**53
_LONGEST = 400
"""Digits to which an exponent is written out."""


class NotPlain(Exception):
    """It is no JSON, or has keys that results cannot have."""


def plain(text: str | bytes) -> Any:
    """Read JSON. A number that is no small integer becomes its decimal, as a string.

    Raises:
        NotPlain: see there.
    """
    try:
        return json.loads(
            text, parse_float=_decimal, parse_int=_integer, parse_constant=_constant, object_pairs_hook=_object
        )
    except (ValueError, RecursionError) as error:
        raise NotPlain(f"not JSON: {str(error)[:200]}") from error


def _integer(text: str) -> int | str:
    # Python refuses to read integers of thousands of digits.
    return text if len(text) > 17 or not -_LARGEST < int(text) < _LARGEST else int(text)


def _decimal(text: str) -> int | str:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return text
    if abs(value.adjusted()) > _LONGEST:
        return text
    written = format(value, "f")
    return _integer(written.partition(".")[0]) if value == value.to_integral_value() else written


def _constant(text: str) -> Any:
    raise NotPlain(f"{text} is no JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if not key.isascii():
            raise NotPlain(f"key {key!r} is not ASCII")
        if key in found:
            raise NotPlain(f"key {key!r} is there twice")
        found[key] = value
    return found


def numbered(value: Any, places: list[list[str]]) -> Any:
    """Arguments with decimals at `places` as JSON numbers again, for those who take no strings there.

    Args:
        value: arguments; decimals in them are strings.
        places: keys from the top; `*` stands for every item or every key.
    """
    for place in places:
        value = _at(value, place)
    return value


def _at(value: Any, place: list[str]) -> Any:
    if not place:
        return json.loads(value) if isinstance(value, str) and _is_number(value) else value
    first, rest = place[0], place[1:]
    if isinstance(value, list) and first == "*":
        return [_at(item, rest) for item in value]
    if isinstance(value, dict):
        return {key: _at(item, rest) if first in ("*", key) else item for key, item in value.items()}
    return value


def _is_number(text: str) -> bool:
    try:
        return text.isascii() and Decimal(text).is_finite() and abs(Decimal(text).adjusted()) < _LONGEST
    except InvalidOperation:
        return False
