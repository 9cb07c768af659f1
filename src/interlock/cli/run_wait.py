"""`interlock run wait`: follow a run to its end."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final

import typer

from interlock.cli import say
from interlock.cli.options import AsJson, Run
from interlock.cli.session import acting, opened, settings
from interlock.errors import InterlockError

if TYPE_CHECKING:
    from interlock.run.client import RunClient
    from interlock.run.contracts import RunOutcome
    from interlock.settings import Settings

LOOK_EVERY_S: Final = 0.3


def wait(run: Run, as_json: AsJson = False) -> None:
    """Wait for a run's end; on a terminal, show its events as they come.

    Exit 0: completed. Exit 1: failed or cancelled.
    """
    conclude(asyncio.run(_waited(run, quiet=as_json)), as_json=as_json)


async def _waited(run: str, *, quiet: bool) -> RunOutcome:
    own = settings()
    async with acting(own) as client:
        return await wait_for(client, own, known(own, run), quiet=quiet)


def known(own: Settings, run: str) -> str:
    """The run that is meant. What the ledger does not know yet, Temporal may."""
    from interlock.cli.resolve import run_of

    try:
        with opened(own) as (ledger, _):
            return run_of(ledger, run)
    except InterlockError:
        if "-" not in run:
            raise
        return run


async def wait_for(client: RunClient, own: Settings, run: str, *, quiet: bool) -> RunOutcome:
    """Wait; show events meanwhile if a terminal wants them."""
    follower = None
    if not quiet and say.on_terminal(sys.stderr):
        follower = asyncio.create_task(_follow(own, run))
    try:
        return await client.wait(run)
    finally:
        if follower is not None:
            await asyncio.sleep(LOOK_EVERY_S)
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)


async def _follow(own: Settings, run: str) -> None:
    """Print each event once, as the ledger gets it."""
    from interlock.run.timeline import Timeline

    after = -1
    with opened(own) as (ledger, blobs):
        lines = Timeline(blobs.of(run))
        screen = say.console(sys.stderr)
        with screen.status("the run goes on; Ctrl-C stops watching, not the run") as status:
            while True:
                for event in await asyncio.to_thread(ledger.events, run, after):
                    # The console that draws the status must print too, or lines run into it.
                    screen.print(lines.line(event), style=lines.style(event) or None, soft_wrap=True)
                    after = event.seq
                    if event.kind == "approval.requested":
                        status.update(f"waits: interlock approval show {event.request_id}")
                    elif event.kind in ("approval.decided", "approval.expired"):
                        status.update("the run goes on")
                await asyncio.sleep(LOOK_EVERY_S)


def conclude(outcome: RunOutcome, *, as_json: bool) -> None:
    """Tell how a run ended; exit 1 unless it completed."""
    if as_json:
        say.document(outcome.model_dump(mode="json"))
    else:
        detail = f": {outcome.detail}" if outcome.detail else ""
        good = outcome.status == "completed"
        say.line(f"run {outcome.run} {outcome.status}{detail}", style="bold green" if good else "bold red")
    if outcome.status != "completed":
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(wait)
