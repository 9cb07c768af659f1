"""Operations of an OpenAPI document, asked through the way out of the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from interlock.definitions.declared.mcp import Overridden
from interlock.definitions.declared.options import Mistake, Options
from interlock.types.names import ToolName

ServerUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", max_length=1024)]


class HttpTool(Options):
    """One operation, or several. Options here are for all of them."""

    kind: Literal["http"]
    name: ToolName | Literal[""] = ""
    """The tool's name where there is one operation; the file's, unless it says another."""
    document: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*\.(json|yaml)$")
    """File of tools/ with the OpenAPI 3.0 or 3.1 document."""
    server: ServerUrl
    """Where requests go: scheme, host, port and the path before each operation's own."""
    operation: str = ""
    """The operationId of the one operation."""
    operations: Overridden = Field(default_factory=dict)
    """Or several: each becomes the tool NAME.OPERATION, with what it says otherwise."""

    def mistakes(self) -> Iterator[Mistake]:
        """What is wrong beyond the form."""
        if bool(self.operation) == bool(self.operations):
            yield (), "operation: give either `operation` or `operations`"
        if self.operations and self.name:
            yield ("name",), "name: several operations are named after the file and themselves"
        if self.operations and "description" in self.model_fields_set:
            yield ("description",), "description: each operation has its own; put it under `operations`"
