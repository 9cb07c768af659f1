"""`interlock dev`: everything that runs a project, in one command."""

from __future__ import annotations

import asyncio

import typer

from interlock.cli import say
from interlock.cli.options import AsJson, AsUser
from interlock.cli.session import settings


def dev(as_user: AsUser = "", as_json: AsJson = False) -> None:
    """Run Temporal, an executor, a graph worker and the console in the foreground, until Ctrl-C.

    Prints a link that signs you in to the console once: as --as says, or else as the first person in permissions/.

    Open runs go on when it is started again. With --json, prints one JSON object a line.
    """
    from interlock.run.dev import Dev

    def tell(text: str) -> None:
        if as_json:
            say.record({"message": text})
        else:
            say.line(text)

    asyncio.run(Dev(settings(), tell, as_user).run())


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(dev)
