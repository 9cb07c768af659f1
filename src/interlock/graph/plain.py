"""Any JSON as canonical JSON and back, without loss: models answer with floats, large integers and non-ASCII
keys, which the canonical profile does not have. Each is written as an object with one `$` key.
"""

from __future__ import annotations

from typing import Any, Final

from interlock.errors import InvalidInput

_MAX_INT: Final = 2**53


def to_plain(value: Any) -> Any:
    """`value` in the canonical profile.

    Raises:
        InvalidInput: something in it is no JSON value.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value) if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, int):
        return int(value) if -_MAX_INT < value < _MAX_INT else {"$int": str(value)}
    if isinstance(value, float):
        return {"$float": repr(value)}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) and key.isascii() and not key.startswith("$") for key in value):
            return {key: to_plain(item) for key, item in value.items()}
        return {"$pairs": [[to_plain(str(key)), to_plain(item)] for key, item in value.items()]}
    raise InvalidInput(f"a message holds a {type(value).__name__}, which is not JSON")


def from_plain(value: Any) -> Any:
    """What `to_plain` was given."""
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"$int": str(text)}:
            return int(text)
        case {"$float": str(text)}:
            return float(text)
        case {"$pairs": list(pairs)}:
            return {key: from_plain(item) for key, item in pairs}
    return {key: from_plain(item) for key, item in value.items()}
