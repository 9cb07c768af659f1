"""`interlock dev`: everything that runs a project, in one command."""

from __future__ import annotations

import asyncio

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.session import settings


def dev(as_json: AsJson = False) -> None:
    """Run Temporal, an executor and a graph worker in the foreground, until Ctrl-C.

    Open runs go on when it is started again. With --json, prints one JSON object a line.
    """
    from interlock.run.dev import Dev

    def tell(text: str) -> None:
        if as_json:
            say.record({"message": text})
        else:
            say.line(text)

    asyncio.run(Dev(settings(), tell).run())


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(dev)
