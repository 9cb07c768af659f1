"""A part of what an earlier call of the run left as an artifact. The host has put that one file here."""

from __future__ import annotations

from typing import Any

from ..failure import ToolError
from .room import Room

_FILE = "output"


def carry_out(definition: dict[str, Any], arguments: dict[str, Any], room: Room) -> Any:
    """Characters from `offset`, or from the first place behind it that holds `find`."""
    try:
        with open(_FILE, encoding="utf-8", errors="replace") as file:
            whole = file.read()
    except FileNotFoundError as error:
        said = f"call {arguments['call']!r} of this run left no artifact {arguments['name']!r}"
        raise ToolError(f"{said}; the text of its result names what it left") from error
    offset = min(arguments["offset"], len(whole))
    if sought := arguments.get("find"):
        found = whole.find(sought, offset)
        if found < 0:
            raise ToolError(f"{sought!r} does not occur at or behind character {offset} of {len(whole)}")
        offset = found
    end = min(len(whole), offset + arguments["length"])
    # So much of it fits into a result, also where each character becomes twelve.
    end = min(end, offset + max(1, room.output_bytes // 16))
    return {
        "text": whole[offset:end],
        "offset": offset,
        "next": end if end < len(whole) else None,
        "total": len(whole),
    }
