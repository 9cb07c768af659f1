"""Arguments as a model wrote them, made canonical where that is safe, refused in words where it is not.

A call is hashed, and floats have no canonical form. Where the tool's schema takes a decimal, a float becomes
the decimal that the model wrote; where it takes an integer, a whole float becomes that integer. Nothing else
is changed: the schema check comes later, at the gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic import JsonValue

from interlock.digest import canonical
from interlock.errors import InvalidInput


def read_arguments(arguments: Any, schema: Mapping[str, Any]) -> dict[str, JsonValue]:
    """The arguments in the canonical profile.

    Args:
        arguments: what the model wrote, parsed.
        schema: JSON Schema of the tool's arguments; empty for an unknown tool.

    Raises:
        InvalidInput: they cannot be hashed; the words are for the model.
    """
    if not isinstance(arguments, dict):
        raise InvalidInput(f"the arguments must be a JSON object, not {type(arguments).__name__}")
    value: dict[str, JsonValue] = {str(key): _read(item, _property(schema, key)) for key, item in arguments.items()}
    canonical(value)
    return value


def _read(value: Any, schema: Mapping[str, Any]) -> Any:
    if isinstance(value, float):
        return _number(value, schema)
    if isinstance(value, (list, tuple)):
        return [_read(item, _items(schema)) for item in value]
    if isinstance(value, dict):
        return {key: _read(item, _property(schema, key)) for key, item in value.items()}
    return value


def _number(value: float, schema: Mapping[str, Any]) -> Any:
    for option in _options(schema):
        if option.get("type") == "integer" and value.is_integer():
            return int(value)
        if option.get("type") == "string" and option.get("format") == "decimal":
            decimal = Decimal(repr(value))
            return format(decimal, "f") if decimal.is_finite() else value
    return value


def _options(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    parts = [schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return [part for part in parts if isinstance(part, Mapping)]


def _property(schema: Mapping[str, Any], key: Any) -> Mapping[str, Any]:
    for option in _options(schema):
        properties = option.get("properties")
        if isinstance(properties, Mapping) and isinstance(properties.get(key), Mapping):
            return properties[key]  # type: ignore[no-any-return]
        extra = option.get("additionalProperties")
        if isinstance(extra, Mapping):
            return extra
    return {}


def _items(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found = (option["items"] for option in _options(schema) if isinstance(option.get("items"), Mapping))
    return next(found, {})
