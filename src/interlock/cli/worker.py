"""`interlock worker`: one worker role as one process."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.session import settings


class Role(StrEnum):
    """Which worker."""

    graph = "graph"
    executor = "executor"


def worker(
    role: Annotated[
        Role, typer.Argument(help="graph: workflows and models, no keys. executor: the only one that acts.")
    ],
    as_json: AsJson = False,
) -> None:
    """Serve a worker role until SIGTERM or Ctrl-C. With --json, prints one JSON object on one line when ready."""
    from interlock.run.serve import serve

    def ready(text: str) -> None:
        if as_json:
            say.record({"role": role.value, "ready": text})
        else:
            say.line(text)

    asyncio.run(serve(role.value, settings(), ready))


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(worker)
