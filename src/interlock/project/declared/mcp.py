"""Compiles the tools of an MCP server out of its lock: what was reviewed, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from interlock.definitions import ToolSchema
from interlock.definitions.declared import Lock, LockedTool, McpServer, Options, pin, schema_of, segment
from interlock.definitions.placed import did_you_mean
from interlock.definitions.tool import KEY_PARAMETER
from interlock.project.declared.compiled import Wrong
from interlock.project.declared.schemas import Translation, Untranslatable, closed_object, registry


def lock_path(stem: str) -> str:
    """Where the lock of tools/STEM.yaml is."""
    return f"tools/{stem}.lock.json"


def read_lock(data: bytes) -> Lock:
    """Read a lock.

    Raises:
        ValueError: it is none, or a definition in it is not the one that its digest names.
    """
    try:
        lock = Lock.model_validate(json.loads(data))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    for name, tool in lock.tools.items():
        if pin(tool.definition) != tool.digest:
            raise ValueError(f"tools.{name}: its definition is not the one that its digest names")
    return lock


def server(tool: McpServer, stem: str, data: bytes | None) -> Iterator[tuple[ToolSchema, dict[str, Any]]]:
    """The contract and the flat definition of each tool.

    Args:
        tool: the definition.
        stem: the file's name without `.yaml`, which is the server's name.
        data: the lock, if there is one.

    Raises:
        Wrong: it is not locked, the lock is stale, or a tool cannot be one of ours.
    """
    lock = _lock(tool, stem, data)
    owners: dict[str, str] = {}
    for name, own in _chosen(tool, lock).items():
        place = ("tools", name) if name in tool.tools else ()
        last = segment(name)
        if not last:
            raise Wrong(f"tool {name!r} of the server has no name that a tool can have here", place)
        if last in owners:
            raise Wrong(f"tools {owners[last]!r} and {name!r} of the server would both be {stem}.{last}", place)
        owners[last] = name
        try:
            yield _tool(tool, f"{stem}.{last}", name, own, lock.tools[name])
        except (Untranslatable, ValidationError, RecursionError) as error:
            raise Wrong(f"tool {name!r} of the server: {_reason(error)}", place) from error


def _reason(error: Exception) -> str:
    return error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else str(error)


def _lock(tool: McpServer, stem: str, data: bytes | None) -> Lock:
    next_step = f"look at its tools: interlock tool discover {stem}"
    if data is None:
        raise Wrong(f"no {lock_path(stem)}: nobody has reviewed what this server offers; {next_step}")
    try:
        lock = read_lock(data)
    except ValueError as error:
        raise Wrong(f"{lock_path(stem)}: {error}; {next_step}") from error
    if lock.command != tool.command:
        said = f"command: {lock_path(stem)} was made for {' '.join(lock.command)!r}; {next_step}"
        raise Wrong(said, ("command",))
    return lock


def _chosen(tool: McpServer, lock: Lock) -> dict[str, Options]:
    for name in tool.tools:
        if name not in lock.tools:
            guess = did_you_mean(name, lock.tools)
            raise Wrong(f"tools.{name}: the reviewed server offers no such tool{guess}", ("tools", name))
    return dict(tool.tools) or {name: Options() for name in lock.tools}


def _tool(
    tool: McpServer, name: str, theirs: str, own: Options, locked: LockedTool
) -> tuple[ToolSchema, dict[str, Any]]:
    definition = locked.definition
    arguments = Translation(registry(definition.get("inputSchema") or {}))
    parameters = closed_object(arguments.of(definition.get("inputSchema") or {}))
    keyed = _take_key(parameters)
    output = definition.get("outputSchema")
    result = Translation(registry(output)).of(output) if output else {"type": "string"}
    described = str(definition.get("description") or definition.get("title") or theirs)[:8192]
    defaults = {"description": described, **_hinted(definition.get("annotations"))}
    schema = schema_of(name, parameters, result, defaults, tool, own)
    return schema, {
        "command": list(tool.command),
        "environment": tool.environment,
        "tool": theirs,
        "pinned": locked.digest,
        "numbers": arguments.numbers,
        "structured": bool(output),
        **({"key_argument": KEY_PARAMETER} if keyed else {}),
    }


def _take_key(parameters: dict[str, Any]) -> bool:
    """Whether the server takes an idempotency key as an argument. It is the engine's then, and no argument here."""
    if parameters["properties"].get(KEY_PARAMETER, {}).get("type") != "string":
        return False
    del parameters["properties"][KEY_PARAMETER]
    parameters["required"] = [name for name in parameters.get("required", ()) if name != KEY_PARAMETER]
    return True


def _hinted(annotations: Any) -> dict[str, Any]:
    """What a server says of a tool's risk. Nothing said is taken as the worst, as the specification has it."""
    hints = annotations if isinstance(annotations, dict) else {}
    if hints.get("readOnlyHint") is True:
        # What only reads has nothing to do twice; what it reads elsewhere, it also tells there.
        away = hints.get("openWorldHint") is True
        effects = "external" if away else "contained"
        return {"action": "read", "effects": effects, "flow": "sink" if away else "reader", "idempotent": True}
    harmless = hints.get("destructiveHint") is False and hints.get("openWorldHint") is False
    return {
        "action": "execute",
        "effects": "contained" if harmless else "external",
        "idempotent": hints.get("idempotentHint") is True,
    }
