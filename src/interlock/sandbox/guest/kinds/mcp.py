"""A tool of a Model Context Protocol server: the server is started, asked once, and ended.

Written after the specification, https://modelcontextprotocol.io/specification/2025-06-18: lifecycle, the stdio
transport, tools. The server is not trusted: whatever it says is checked, and only a tool whose definition is the
one that was reviewed is called.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ..failure import ToolError
from .mcp_client import Client
from .mcp_content import value_of
from .plain import numbered
from .room import Room

MOST_TOOLS = 1000
_MOST_PAGES = 100


def carry_out(definition: dict[str, Any], arguments: dict[str, Any], room: Room) -> Any:
    """Call the tool; without one, list what the server offers."""
    with Client(definition["command"], definition["environment"], room) as client:
        client.initialize()
        if definition["tool"] is None:
            return {
                "server": client.server,
                "protocol": client.protocol,
                # As text: definitions may hold what results cannot.
                "tools": [json.dumps(tool) for tool in tools_of(client)],
            }
        _check(client, definition)
        given = numbered(arguments, definition["numbers"])
        if name := definition.get("key_argument"):
            if not room.key:
                raise ToolError("this call has no idempotency key")
            given = {**given, name: room.key}
        asked = {"name": definition["tool"], "arguments": given}
        return value_of(client.request("tools/call", asked), room, structured=definition["structured"])


def tools_of(client: Client) -> list[dict[str, Any]]:
    """Every tool that the server lists, over all pages."""
    found: list[dict[str, Any]] = []
    cursor: Any = None
    for _ in range(_MOST_PAGES):
        page = client.request("tools/list", {} if cursor is None else {"cursor": cursor})
        tools = page.get("tools")
        if not isinstance(tools, list) or not all(isinstance(one, dict) and _named(one) for one in tools):
            raise ToolError(f"{client.what} lists tools without a name: {str(tools)[:200]}")
        found += tools
        cursor = page.get("nextCursor")
        if not isinstance(cursor, str):
            return found
        if len(found) > MOST_TOOLS:
            break
    raise ToolError(f"{client.what} lists more than {MOST_TOOLS} tools or {_MOST_PAGES} pages")


def _named(tool: dict[str, Any]) -> bool:
    return isinstance(tool.get("name"), str) and bool(tool["name"])


def _check(client: Client, definition: dict[str, Any]) -> None:
    """Refuse unless the server describes the tool as it did when it was reviewed."""
    same = [tool for tool in tools_of(client) if tool["name"] == definition["tool"]]
    if len(same) != 1:
        raise ToolError(f"{client.what} offers {len(same) or 'no'} tool {definition['tool']!r}; nothing was called")
    if pin(same[0]) != definition["pinned"]:
        raise ToolError(
            f"{client.what} describes {definition['tool']!r} otherwise than when it was reviewed; nothing was "
            "called. A person must look: interlock tool discover"
        )


def pin(tool: dict[str, Any]) -> str:
    """The digest of a definition; `interlock.definitions.declared.pin` computes the same."""
    text = json.dumps(tool, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
