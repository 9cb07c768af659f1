"""`interlock policy schema`: what editors need to complete and check the files."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from interlock.cli import say
from interlock.cli.options import AsJson


def schema(
    kind: Annotated[
        Literal["policy", "cases"], typer.Argument(help="Policy files, or files in permissions/cases/.")
    ] = "policy",
    as_json: AsJson = False,
) -> None:
    """Print the JSON Schema of policy files, or of case files: one JSON document, with or without --json."""
    from interlock.policy import schema as schema_of

    say.document(schema_of(kind))
