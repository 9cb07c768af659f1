"""The value of a signal: what workflow and executor ask of it alike. Pure."""

from __future__ import annotations

from typing import Any, Final

from pydantic import JsonValue

from interlock.digest import canonical, digest_bytes
from interlock.errors import InvalidInput
from interlock.run.arguments import check_value
from interlock.types.names import Digest

LARGEST: Final = 256 * 1024
"""Bytes of a value, as canonical JSON."""


def check_fits(name: str, schema: dict[str, Any], value: JsonValue) -> Digest:
    """The digest of a value that fits what a workflow declares of its signal.

    Raises:
        InvalidInput: it has no canonical form, is too large, or does not fit.
    """
    data = canonical(value)
    if len(data) > LARGEST:
        raise InvalidInput(f"value: {len(data)} bytes, a signal carries at most {LARGEST}")
    check_value(schema, value, root="value", next_step=f"see what the workflow's file says of signal {name!r}")
    return digest_bytes(data)
