"""Asks an MCP server what it offers: in a sandbox, for a person to review and to pin."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping
from difflib import unified_diff
from typing import Any, Final

from interlock.definitions.declared import Lock, LockedTool, McpServer, pin, read_definition
from interlock.digest import canonical, parse
from interlock.errors import InvalidInput, Refused
from interlock.policy import Bundle
from interlock.project import Snapshot, lock_path, read_lock
from interlock.run.compilation import images_of
from interlock.sandbox import SandboxCall, run_once
from interlock.scratch import ScratchBlobs
from interlock.settings import Settings

_OUTPUT_KIB: Final = 16_384
"""What a server may say of its tools; more than a result of a call."""


def server_of(snapshot: Snapshot, name: str) -> McpServer:
    """The definition of a server.

    Raises:
        InvalidInput: there is none of this name, or its file has mistakes.
    """
    path = snapshot.declared().get(name)
    if path is None:
        raise InvalidInput(f"there is no tools/{name}.yaml", next_step="write it, with `kind: mcp` and its command")
    read = read_definition(snapshot.files[path], path)
    if read.problems:
        raise InvalidInput("\n".join(map(str, read.problems)), next_step="correct it and try again")
    if not isinstance(read.definition, McpServer):
        raise InvalidInput(f"{path} is no MCP server", next_step="interlock tool list says what it is")
    return read.definition


def kept_lock(snapshot: Snapshot, name: str) -> Lock | None:
    """What was reviewed of the server; None if nothing was, or nothing that can be read."""
    data = snapshot.files.get(lock_path(name))
    if data is None:
        return None
    try:
        return read_lock(data)
    except ValueError:
        return None


def ask(settings: Settings, bundle: Bundle, name: str, server: McpServer) -> Lock:
    """Start the server in a sandbox of its profile, with no way out, and list its tools.

    Raises:
        InvalidInput: its profile is unknown.
        Refused: it does not answer as the protocol has it; says how.
        SandboxUnavailable: no engine or no image.
    """
    profile = bundle.profiles.get(server.profile)
    if profile is None:
        raise InvalidInput(f"tools/{name}.yaml: unknown sandbox profile {server.profile!r}")
    profile = profile.model_copy(update={"output_kib": max(profile.output_kib, _OUTPUT_KIB)})
    definition = {"kind": "mcp", "command": list(server.command), "environment": server.environment, "tool": None}
    run = f"discover-{secrets.token_hex(6)}"
    call = SandboxCall(
        call_id=f"{run}:c1",
        run=run,
        kind="mcp",
        tool=name,
        source=canonical(definition),
        path=f"tools/{name}.yaml",
        profile=profile,
        image=images_of(settings, bundle)[profile.image],
    )
    result = asyncio.run(run_once(settings, call, ScratchBlobs()))
    if result.value is None:
        raise Refused(result.error or result.status, next_step=f"correct tools/{name}.yaml")
    return _lock(server, parse(result.value))


def _lock(server: McpServer, answer: Mapping[str, Any]) -> Lock:
    found: dict[str, LockedTool] = {}
    for text in answer["tools"]:
        definition = json.loads(text)
        name = str(definition["name"])
        if name in found:
            raise Refused(f"the server lists the tool {name!r} twice")
        found[name] = LockedTool(digest=pin(definition), definition=definition)
    return Lock(command=server.command, server=answer["server"], protocol=answer["protocol"], tools=found)


def changes(before: Lock | None, after: Lock) -> list[str]:
    """What differs between what was reviewed and what the server says now, as lines of a diff."""
    if before is not None and before.tools == after.tools and before.command == after.command:
        return []
    old = _lines(before) if before is not None else []
    return list(unified_diff(old, _lines(after), "reviewed", "now", lineterm="", n=3))


def _lines(lock: Lock) -> list[str]:
    shown = {"command": list(lock.command), "tools": {name: tool.definition for name, tool in lock.tools.items()}}
    return json.dumps(shown, indent=2, sort_keys=True).splitlines()
