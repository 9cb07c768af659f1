"""Whether a condition fits the JSON Schema of the argument that it addresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from interlock.policy.conditions import LABEL_OPERATORS, Condition
from interlock.policy.problems import did_you_mean

Schema = Mapping[str, Any]

_TAKES: Final[Mapping[str, frozenset[str]]] = {
    "lt": frozenset({"integer", "decimal"}),
    "le": frozenset({"integer", "decimal"}),
    "gt": frozenset({"integer", "decimal"}),
    "ge": frozenset({"integer", "decimal"}),
    "under": frozenset({"string"}),
    "not_under": frozenset({"string"}),
    "host_in": frozenset({"string"}),
    "matches": frozenset({"string"}),
    "contains": frozenset({"string", "array"}),
    "length_le": frozenset({"string", "array"}),
}
"""Types of argument that an operator can evaluate; the operators of equality depend on their operand."""


def find_argument(parameters: Schema, name: str) -> tuple[Schema | None, str]:
    """The schema of an argument, `options.mode` step by step; if there is none, a guess at what was meant.

    An object without `properties` takes any key, and so gives an empty schema, which fits everything.
    """
    schema: Schema = parameters
    for key in name.split("."):
        options = list(_options(schema, parameters))
        properties = {k: v for option in options for k, v in option.get("properties", {}).items()}
        if key in properties:
            schema = properties[key]
        elif any(_is_open(option) for option in options):
            extras = [option.get("additionalProperties") for option in options]
            schema = next((extra for extra in extras if isinstance(extra, Mapping)), {})
        else:
            return None, did_you_mean(key, properties)
    return schema, ""


def closed_values(parameters: Schema, name: str) -> bool:
    """Whether the argument has one of a few values: an enumeration, true or false, null."""
    schema, _ = find_argument(parameters, name)
    options = list(_options(schema, parameters)) if schema else []
    return bool(options) and all(_values(option) or option.get("type") in ("boolean", "null") for option in options)


def _is_open(schema: Schema) -> bool:
    return schema.get("type", "object") == "object" and schema.get("additionalProperties", True) is not False


def condition_problem(condition: Condition, schema: Schema, root: Schema) -> str:
    """Why the condition can never be evaluated for such an argument; empty if it can."""
    types = _types(schema, root)
    if not types:
        return ""
    operator, operand = condition.operator, condition.operand
    if operator in LABEL_OPERATORS:
        return ""
    if operator in _TAKES:
        if not types & _TAKES[operator]:
            return f"{operator!r} does not work on {_words(types)}"
        if operator in ("lt", "le", "gt", "ge") and "integer" not in types and not isinstance(operand, Decimal):
            return f"it is a decimal: compare it with a decimal, {operand}.00"
        return ""
    return _equality(operand if isinstance(operand, tuple) else (operand,), types, schema, root)


def _equality(operands: tuple[Any, ...], types: frozenset[str], schema: Schema, root: Schema) -> str:
    allowed = [value for option in _options(schema, root) for value in _values(option)]
    for operand in operands:
        wanted = _type_of(operand)
        if not types & wanted:
            return f"{operand!r} can never equal {_words(types)}"
        if allowed and isinstance(operand, str) and operand not in allowed:
            return f"{operand!r} is not one of its values{did_you_mean(operand, map(str, allowed))}"
    return ""


def _type_of(operand: Any) -> frozenset[str]:
    if operand is None:
        return frozenset({"null"})
    if isinstance(operand, bool):
        return frozenset({"boolean"})
    if isinstance(operand, Decimal):
        return frozenset({"decimal", "integer"})
    return frozenset({"integer"}) if isinstance(operand, int) else frozenset({"string"})


def _types(schema: Schema, root: Schema) -> frozenset[str]:
    found: set[str] = set()
    for option in _options(schema, root):
        own = option.get("type")
        names = own if isinstance(own, list) else [own] if own else [_json_type(value) for value in _values(option)]
        if not names:
            return frozenset()
        decimal = option.get("format") == "decimal"
        found |= {"decimal" if decimal and name == "string" else str(name) for name in names}
    return frozenset(found)


def _values(schema: Schema) -> list[Any]:
    return list(schema.get("enum", [schema["const"]] if "const" in schema else []))


def _json_type(value: Any) -> str:
    names = {bool: "boolean", int: "integer", str: "string", type(None): "null", list: "array", dict: "object"}
    return names.get(type(value), "unknown")


def _options(schema: Schema, root: Schema, depth: int = 0) -> Iterator[Schema]:
    if depth > 16:
        return
    reference = str(schema.get("$ref", ""))
    if reference.startswith("#/"):
        found: Any = root
        for key in reference[2:].split("/"):
            found = found.get(key, {}) if isinstance(found, Mapping) else {}
        yield from _options(found, root, depth + 1)
    elif "anyOf" in schema or "oneOf" in schema:
        for option in [*schema.get("anyOf", []), *schema.get("oneOf", [])]:
            yield from _options(option, root, depth + 1)
    else:
        yield schema


def _words(types: frozenset[str]) -> str:
    words = {
        "string": "text",
        "integer": "a whole number",
        "decimal": "a decimal",
        "array": "a list",
        "null": "null",
    }
    return " or ".join(words.get(name, name) for name in sorted(types))
