"""Reading on in what was too large to be shown: artifacts of earlier calls of the same run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from interlock.definitions.declared.options import Mistake, Options, check_options
from interlock.types.names import ToolName

OUTPUT_ARGUMENTS = ("call", "name", "offset", "length", "find")


class OutputTool(Options):
    """A tool with which an agent reads parts of a large output."""

    kind: Literal["output"]
    name: ToolName | Literal[""] = ""
    """The tool's name; the file's, unless it says another."""

    def mistakes(self) -> Iterator[Mistake]:
        """What is wrong beyond the form."""
        yield from check_options(self, OUTPUT_ARGUMENTS)
        if self.workspace != "none":
            yield ("workspace",), "workspace: it sees one output and no files; leave it out"
        if self.effects != "contained":
            yield ("effects",), "effects: reading an output has none; leave it out"
