"""Canonical bytes and their digests: everything that is hashed or signed is written here first.

The format is RFC 8785 (JSON Canonicalization Scheme) over a restricted profile in which orjson with sorted
keys gives the same bytes: ASCII keys, no floats (decimals travel as strings), integers below 2**53 in
magnitude, valid UTF-8. The profile is checked before writing, because orjson would write NaN as null and
keys beyond the Basic Multilingual Plane in another order than RFC 8785.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

import orjson

from interlock.errors import InvalidInput
from interlock.types.names import Digest

MAX_DEPTH: Final = 64
MAX_BYTES: Final = 4 * 1024 * 1024
_MAX_INT: Final = 2**53


def canonical(value: Any, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The canonical JSON bytes of `value`.

    Args:
        value: dict, list, tuple, str, int, bool or None, nested at most `MAX_DEPTH` deep.
        max_bytes: refuse a longer result.

    Raises:
        InvalidInput: the value is outside the profile; the message names the place as a JSON path.
    """
    _check(value, "$", 0)
    try:
        written = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONEncodeError, UnicodeEncodeError) as error:
        raise InvalidInput(f"not canonical JSON: {error}") from error
    if len(written) > max_bytes:
        raise InvalidInput(f"$: {len(written)} bytes as canonical JSON, the limit is {max_bytes}")
    return written


def parse(data: bytes | str) -> Any:
    """Read JSON that came from outside.

    Raises:
        InvalidInput: not JSON, not UTF-8, a duplicate key, or outside the canonical profile.
    """
    try:
        value = json.loads(data, object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float)
    except InvalidInput:
        raise
    except (ValueError, RecursionError) as error:  # also an integer of more digits than Python reads
        raise InvalidInput(f"not JSON: {error}") from error
    _check(value, "$", 0)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise InvalidInput(f"duplicate key {key!r}")
        value[key] = item
    return value


def _no_float(text: str) -> Any:
    raise InvalidInput(f"{text}: a float has no canonical form; send a decimal as a string")


def digest_bytes(data: bytes) -> Digest:
    """`sha256:` and the lower-case hex digest of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest_of(value: Any) -> Digest:
    """The digest of a value's canonical bytes."""
    return digest_bytes(canonical(value))


def _check(value: Any, path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidInput(f"{path}: nested deeper than {MAX_DEPTH}")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError as error:
                raise InvalidInput(f"{path}: not valid UTF-8 (a lone surrogate)") from error
        return
    if isinstance(value, int):
        if not -_MAX_INT < value < _MAX_INT:
            raise InvalidInput(f"{path}: an integer must stay below 2^53; send it as a string")
        return
    if isinstance(value, float):
        raise InvalidInput(f"{path}: a float has no canonical form; send a decimal as a string")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise InvalidInput(f"{path}: key {key!r} must be an ASCII string")
            _check(item, f"{path}.{key}", depth + 1)
        return
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]", depth + 1)
        return
    raise InvalidInput(f"{path}: {type(value).__name__} is not a JSON value")
