"""Arguments of a call: normalised by the tool's schema, so that equal calls have equal digests."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from pydantic import JsonValue

from interlock.digest import canonical, parse
from interlock.errors import InvalidInput
from interlock.types.blobs import Blobs
from interlock.types.names import Digest


def check_value(schema: dict[str, Any], value: JsonValue, *, root: str, next_step: str) -> None:
    """Check a value against a JSON Schema.

    Raises:
        InvalidInput: names the place in the value, or `root` for all of it, and the reason.
    """
    error = best_match(Draft202012Validator(schema).iter_errors(value))
    if error is not None:
        place = ".".join(str(part) for part in error.absolute_path) or root
        raise InvalidInput(f"{place}: {error.message[:500]}", next_step=next_step)


def normalise(schema: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Check `arguments` against a tool's schema and fill in its defaults.

    Raises:
        InvalidInput: names the argument, the reason, and what the tool takes.
    """
    canonical(arguments)
    known = ", ".join(schema.get("properties", {})) or "no arguments"
    check_value(schema, arguments, root="arguments", next_step=f"the tool takes {known}")
    defaults = {name: part["default"] for name, part in schema.get("properties", {}).items() if "default" in part}
    return {**defaults, **arguments}


def load_arguments(blobs: Blobs, digest: Digest) -> dict[str, Any]:
    """Read arguments kept by digest.

    Raises:
        IntegrityError: absent or altered.
        InvalidInput: not a JSON object in the canonical profile, or too large.
    """
    value = parse(blobs.get(digest))
    if not isinstance(value, dict):
        raise InvalidInput(f"arguments: must be a JSON object, not {type(value).__name__}")
    canonical(value)
    return value
