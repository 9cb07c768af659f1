"""Tools that are definitions and not Python: the runner's own code carries them out, in the tool's process."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from typing import Any

from .. import key
from ..failure import ToolError
from .room import Room

__all__ = ["KINDS", "Room", "carry_out"]

Carry = Callable[[dict[str, Any], dict[str, Any], Room], Any]

KINDS = ("command", "shell", "mcp", "http", "output")
"""Each is a module of this package; imported in the tool's process, so that the runner stays small."""


def carry_out(kind: str, source: bytes, arguments: dict[str, Any], room: Room, *, asks: bool = False) -> bytes:
    """Do what a definition says, or ask as it says whether the call happened; returns value or answer as JSON.

    Args:
        kind: which kind it is.
        source: the definition, one JSON object.
        arguments: normalised arguments.
        room: what there is of time and space.
        asks: only ask. The answer is as that of a Python tool.

    Raises:
        ToolError: it failed; the message is for the model to read.
    """
    if kind not in KINDS:
        raise ToolError(
            f"this sandbox image knows no kind of tool {kind!r}; build it again: interlock sandbox build"
        )
    definition = json.loads(source)
    if not room.key and f"{{{key.PARAMETER}}}".encode() in source:
        raise ToolError("this call has no idempotency key")
    if asks and not definition.get("reconcile"):
        raise ToolError("the tool has no reconcile")
    module = importlib.import_module(f".{kind}", __name__)
    carry: Carry = module.reconcile if asks else module.carry_out
    return json.dumps(carry(definition, arguments, room), allow_nan=False).encode()
