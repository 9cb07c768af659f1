"""A Model Context Protocol server that runs in the sandbox, and the lock that pins the tools it offers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from interlock.definitions.declared.command import Text, VariableName
from interlock.definitions.declared.options import Mistake, Options
from interlock.types.closed import Closed
from interlock.types.names import Digest

_SEGMENT: Final = re.compile(r"[a-z][a-z0-9_]*")

Argument = Annotated[str, StringConstraints(min_length=1, max_length=4096)]


def overridden(value: Any) -> Any:
    """A list of names, or names with nothing after them, stand for names with nothing overridden."""
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return {name: {} for name in value}
    if isinstance(value, dict):
        return {name: {} if one is None else one for name, one in value.items()}
    return value


Overridden = Annotated[dict[str, Options], BeforeValidator(overridden)]


class McpServer(Options):
    """A server, started in the sandbox for each call. Options here are for all of its tools."""

    kind: Literal["mcp"]
    command: tuple[Argument, ...] = Field(min_length=1)
    """The program and its arguments, literally."""
    environment: dict[VariableName, Text] = Field(default_factory=dict)
    """Variables that it gets besides the sandbox's few. Literal text: no secret belongs here."""
    tools: Overridden = Field(default_factory=dict)
    """Which of its tools agents may be given, by the server's own names, each with what it says otherwise than the
    server's annotations. Left out: all that the lock holds."""

    def mistakes(self) -> Iterator[Mistake]:
        """What is wrong beyond the form."""
        if "description" in self.model_fields_set:
            yield ("description",), "description: each tool of a server has its own; put it under `tools`"
        if "tools" in self.model_fields_set and not self.tools:
            yield ("tools",), "tools: names none; leave it out for all that the lock holds"


class LockedTool(Closed):
    """A tool as the server described it when somebody accepted it."""

    digest: Digest
    definition: dict[str, Any]
    """Name, description, input schema and all else that the server said."""


class Lock(Closed):
    """`tools/SERVER.lock.json`: what was reviewed."""

    v: Literal[1] = 1
    command: tuple[str, ...]
    """The command that was asked."""
    server: str
    """What it calls itself, with its version."""
    protocol: str
    tools: dict[str, LockedTool]

    def written(self) -> bytes:
        """As a file."""
        return (json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True) + "\n").encode()


def pin(definition: dict[str, Any]) -> Digest:
    """The digest of a server's own definition of a tool; `guest/kinds/mcp.py` computes the same.

    Not canonical JSON: a server may use floats and keys that our canonical form does not have.
    """
    text = json.dumps(definition, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def segment(name: str) -> str:
    """A server's name of a tool as the last part of ours; empty where nothing of it fits."""
    found = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")
    return found if _SEGMENT.fullmatch(found) else ""
