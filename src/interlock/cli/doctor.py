"""`interlock doctor`: what this machine and this project lack."""

from __future__ import annotations

import typer

from interlock.cli import say
from interlock.cli.checks import report
from interlock.cli.options import AsJson
from interlock.cli.session import settings


def doctor(as_json: AsJson = False) -> None:
    """Check every part, and name the command that mends what fails.

    Exit 0: all is well. Exit 3: Temporal, Docker, a store or a worker does not answer. Exit 1: another check fails.
    """
    from interlock.run.examine import UNREACHABLE, examine

    own = settings()
    if not as_json:
        say.line(f"project {own.name} in {own.root}, state in {own.state_folder}", style="bold")
    with say.working("examining", quiet=as_json):
        checks = list(examine(own))
    report(checks, as_json=as_json, unreachable=UNREACHABLE)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(doctor)
