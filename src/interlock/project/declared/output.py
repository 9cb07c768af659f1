"""Compiles the tool that reads outputs of earlier calls."""

from __future__ import annotations

from typing import Any, Final

from interlock.definitions import ToolSchema
from interlock.definitions.declared import OutputTool, schema_of

_DESCRIPTION: Final = (
    "Read a part of an output that was too large to be shown whole. `call` and `name` are as the shortened result "
    "says. Give `next` of an answer as `offset` to read on, or `find` to begin where a text occurs."
)
_ARGUMENTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "call": {"type": "string", "maxLength": 12, "description": "Which call left it, such as c4."},
        "name": {"type": "string", "maxLength": 255, "description": "The artifact's name."},
        "offset": {"type": "integer", "minimum": 0, "default": 0, "description": "The first character."},
        "length": {"type": "integer", "minimum": 1, "maximum": 16_000, "default": 8_000},
        "find": {"type": "string", "minLength": 1, "maxLength": 500, "description": "Begin where this occurs."},
    },
    "additionalProperties": False,
    "required": ["call", "name"],
}
_RESULT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "offset": {"type": "integer"},
        "next": {"type": ["integer", "null"]},
        "total": {"type": "integer"},
    },
    "additionalProperties": False,
    "required": ["text", "offset", "next", "total"],
}


def output(tool: OutputTool, name: str) -> tuple[ToolSchema, dict[str, Any]]:
    """The contract and the flat definition. What it returns may be anything that an earlier call returned."""
    defaults = {
        "description": _DESCRIPTION,
        "action": "read",
        "resource": "output:{call}/{name}",
        "idempotent": True,
        "emits": ("untrusted",),
    }
    return schema_of(name, _ARGUMENTS, _RESULT, defaults, tool), {}
