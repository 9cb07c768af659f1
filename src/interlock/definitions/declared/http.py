"""Operations of an OpenAPI document, asked through the way out of the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from interlock.definitions.declared.mcp import overridden
from interlock.definitions.declared.options import Mistake, Options
from interlock.types.closed import Closed
from interlock.types.names import ToolName

ServerUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", max_length=1024)]


HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]


class HttpReconcile(Closed):
    """A reading operation of the same document that finds out whether a call happened whose result was lost.

    A good answer (2xx) says that it did, and is the call's result.
    """

    operation: str
    """Its operationId: a GET whose parameters are arguments of the call, or `idempotency_key`."""
    not_done: tuple[Annotated[int, Field(ge=400, le=499)], ...] = Field(min_length=1)
    """Statuses that say: it did not happen, so it may run. With any other a person decides."""


class Operation(Options):
    """What an operation says otherwise than its file."""

    reconcile: HttpReconcile | None = None


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
    operations: Annotated[dict[str, Operation], BeforeValidator(overridden)] = Field(default_factory=dict)
    """Or several: each becomes the tool NAME.OPERATION, with what it says otherwise."""
    idempotency_header: HeaderName | Literal[""] = ""
    """Header that carries the call's idempotency key, where the document declares none named `Idempotency-Key`."""
    reconcile: HttpReconcile | None = None
    """Of the one operation."""

    def mistakes(self) -> Iterator[Mistake]:
        """What is wrong beyond the form."""
        if bool(self.operation) == bool(self.operations):
            yield (), "operation: give either `operation` or `operations`"
        if self.operations and self.reconcile:
            yield ("reconcile",), "reconcile: each operation has its own; put it under `operations`"
        if self.operations and self.name:
            yield ("name",), "name: several operations are named after the file and themselves"
        if self.operations and "description" in self.model_fields_set:
            yield ("description",), "description: each operation has its own; put it under `operations`"
