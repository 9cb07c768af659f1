"""A declared tool, compiled: its contract, and the flat definition that is carried out in the sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from interlock.definitions import ToolEntry, ToolKind, ToolSchema
from interlock.digest import canonical, digest_bytes


@dataclass(frozen=True)
class DeclaredTool:
    """One tool of a file."""

    kind: ToolKind
    path: str
    """`tools/NAME.yaml`."""
    line: int
    schema: ToolSchema
    flat: dict[str, Any]
    """Everything that carrying it out needs, with nothing left to look up."""

    @cached_property
    def source(self) -> bytes:
        """The definition as it is pinned.

        Raises:
            InvalidInput: it has no canonical form.
        """
        return canonical({"v": 1, "kind": self.kind, **self.flat})

    @property
    def entry(self) -> ToolEntry:
        """As a run pins it."""
        return ToolEntry(source=digest_bytes(self.source), kind=self.kind, path=self.path, schema_=self.schema)


class Wrong(Exception):
    """A definition that does not compile.

    Attributes:
        place: where in the file.
    """

    def __init__(self, message: str, place: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.place = place
