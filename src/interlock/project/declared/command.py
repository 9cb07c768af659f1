"""Compiles commands and shells."""

from __future__ import annotations

from typing import Any

from interlock.definitions import ToolSchema
from interlock.definitions.declared import (
    EXIT_RESULT,
    SHELL_ACTION,
    CommandReconcile,
    CommandTool,
    Group,
    ShellTool,
    object_schema,
    schema_of,
)
from interlock.project.declared.compiled import Wrong
from interlock.project.declared.schemas import Translation, Untranslatable, registry

_TEXTS = {"type": "array", "items": {"type": "string"}}


def command(tool: CommandTool, name: str) -> tuple[ToolSchema, dict[str, Any]]:
    """The contract and the flat definition of a command."""
    asks = tool.reconcile
    defaults = {"reconcile": True} if asks else {}
    schema = schema_of(name, object_schema(tool.parameters), _result(tool), defaults, tool)
    parameters = {
        key: {"type": one.type, "items": one.items if one.type == "list" else "", "options": one.options}
        for key, one in tool.parameters.items()
    }
    return schema, {
        "argv": [_element(element) for element in tool.argv],
        "script": tool.script,
        "stdin": tool.stdin,
        "environment": tool.environment,
        "parameters": parameters,
        "result": tool.result,
        "ok_exit_codes": list(tool.ok_exit_codes),
        **({"reconcile": _reconcile(asks)} if asks else {}),
    }


def _reconcile(asks: CommandReconcile) -> dict[str, Any]:
    argv = [_element(element) for element in asks.argv]
    return {"argv": argv, "done": list(asks.done), "not_done": list(asks.not_done)}


def _element(element: str | tuple[str, ...] | Group) -> Any:
    if isinstance(element, Group):
        return {"when": element.when, "argv": list(element.argv)}
    return element if isinstance(element, str) else list(element)


def _result(tool: CommandTool) -> dict[str, Any]:
    if tool.result == "json":
        try:
            return Translation(registry(tool.result_schema)).of(tool.result_schema)
        except Untranslatable as error:
            raise Wrong(f"result_schema: {error}", ("result_schema",)) from error
    return {"exit": dict(EXIT_RESULT), "lines": _TEXTS, "text": {"type": "string"}}[tool.result]


def shell(tool: ShellTool, name: str) -> tuple[ToolSchema, dict[str, Any]]:
    """The contract and the flat definition of a shell."""
    line = {"type": "string", "description": "A line or a script.", "maxLength": 65_536}
    parameters = {
        "type": "object",
        "properties": {"command": line},
        "additionalProperties": False,
        "required": ["command"],
    }
    defaults = {"action": SHELL_ACTION, "workspace": "write", "sentence": "Run {command}"}
    return schema_of(name, parameters, dict(EXIT_RESULT), defaults, tool), {"shell": tool.shell}
