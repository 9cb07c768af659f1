"""`interlock run signal`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli import say
from interlock.cli.choices import json_value
from interlock.cli.options import AsJson, AsUser, Run
from interlock.cli.run_wait import known
from interlock.cli.session import acting, bundle_of, settings

if TYPE_CHECKING:
    from interlock.run.contracts import SignalOutput


def signal(
    run: Run,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A signal that the run's workflow declares.")],
    value: Annotated[str, typer.Option(metavar="JSON|@FILE|-", help="What is sent; else null.")] = "null",
    as_user: AsUser = "",
    as_json: AsJson = False,
) -> None:
    """Send a signal to an open run, which keeps it until its workflow asks for it."""
    from interlock.cli.resolve import person_of

    own = settings()
    by = person_of(bundle_of(own), own.tenant, as_user)
    run, sent = known(own, run), json_value(value, "--value")

    async def send() -> SignalOutput:
        async with acting(own) as client:
            return await client.signal(run, name, sent, by=by)

    became = asyncio.run(send())
    if as_json:
        say.document({"run": run, "by": by, **became.model_dump(mode="json")})
    else:
        say.line(f"signal {name} sent to run {run}")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(signal)
