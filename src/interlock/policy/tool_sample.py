"""A plausible call of a tool, made from its schema alone."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any, Final

from interlock.definitions import ToolSchema

_BY_TYPE: Final[Mapping[str, Any]] = {
    "string": "example",
    "integer": 1,
    "number": 1,
    "boolean": False,
    "array": [],
    "object": {},
    "null": None,
}


def sample_arguments(tool: ToolSchema) -> dict[str, Any]:
    """A value for each argument that the tool needs, and each that has a default."""
    found = _sample(tool.parameters, tool.parameters, 0)
    return found if isinstance(found, dict) else {}


def filled_resource(template: str, arguments: Mapping[str, Any]) -> str:
    """The tool's `resource` template over a call's arguments; the template itself where one is absent."""
    names = [name for _, name, _, _ in string.Formatter().parse(template) if name]
    if any(name not in arguments for name in names):
        return template
    for name in names:
        template = template.replace(f"{{{name}}}", str(arguments[name]))
    return template


def _sample(schema: Any, root: Mapping[str, Any], depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > 16:
        return None
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    if options := schema.get("enum") or schema.get("examples"):
        return options[0]
    if reference := str(schema.get("$ref", "")):
        found: Any = root
        for key in reference.removeprefix("#/").split("/"):
            found = found.get(key, {}) if isinstance(found, Mapping) else {}
        return _sample(found, root, depth + 1)
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return _sample(options[0], root, depth + 1)
    return _of_type(schema, root, depth)


def _of_type(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties, required = schema.get("properties", {}), schema.get("required", [])
        return {
            name: _sample(inner, root, depth + 1)
            for name, inner in properties.items()
            if name in required or (isinstance(inner, Mapping) and "default" in inner)
        }
    if kind == "string" and schema.get("format") == "decimal":
        return "1.00"
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    return _BY_TYPE.get(str(kind), "example")
