"""Annotations to JSON Schema (2020-12)."""

from __future__ import annotations

import typing
from decimal import Decimal
from typing import Any

from .annotations import MAX_DEPTH, AnnotationProblem, fields, is_record, literals, optional, refuse, unwrap

DECIMAL_PATTERN = r"^-?[0-9]+(\.[0-9]+)?$"

_PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    None: {"type": "null"},
    Decimal: {"type": "string", "pattern": DECIMAL_PATTERN},
}


def schema(annotation: Any, depth: int = 0) -> dict[str, Any]:
    """The JSON Schema of a type.

    Raises:
        AnnotationProblem: outside the closed set, or nested too deep (a type that contains itself).
    """
    if depth > MAX_DEPTH:
        raise AnnotationProblem(f"nested deeper than {MAX_DEPTH} types; a type may not contain itself")
    bare, text = unwrap(annotation)
    found = _bare(bare, depth)
    return {**found, "description": text} if text else found


def _bare(bare: Any, depth: int) -> dict[str, Any]:
    plain = _PLAIN.get(bare) if bare is None or isinstance(bare, type) else None
    if plain is not None:
        return dict(plain)
    inner = optional(bare)
    if inner is not None:
        return {"anyOf": [schema(inner, depth + 1), {"type": "null"}]}
    origin, arguments = typing.get_origin(bare), typing.get_args(bare)
    if origin is typing.Literal:
        return _literal(literals(bare))
    if origin is list:
        return {"type": "array", "items": schema(arguments[0], depth + 1)}
    if origin is dict:
        if unwrap(arguments[0])[0] is not str:
            raise AnnotationProblem("dict keys must be str")
        return {"type": "object", "additionalProperties": schema(arguments[1], depth + 1)}
    if is_record(bare):
        return record({name: (schema(hint, depth + 1), must) for name, (hint, must) in fields(bare).items()})
    raise refuse(bare)


def _literal(values: tuple[Any, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {"enum": list(values)}
    if all(isinstance(value, str) for value in values):
        found["type"] = "string"
    return found


def record(properties: dict[str, tuple[dict[str, Any], bool]]) -> dict[str, Any]:
    """A closed object: name → (schema, whether it must be given)."""
    found: dict[str, Any] = {
        "type": "object",
        "properties": {name: inner for name, (inner, _) in properties.items()},
        "additionalProperties": False,
    }
    required = [name for name, (_, must) in properties.items() if must]
    return {**found, "required": required} if required else found
