"""`interlock run cancel`, `pause` and `resume`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import typer

from interlock.cli import say
from interlock.cli.options import AsJson, AsUser, Run
from interlock.cli.run_wait import known
from interlock.cli.session import acting, bundle_of, settings

Verb = Literal["pause", "resume", "cancel"]
Reason = Annotated[str, typer.Option(help="Why; it is recorded.")]
_PAST: dict[Verb, str] = {"pause": "paused", "resume": "resumed", "cancel": "is being cancelled"}


def cancel(run: Run, as_user: AsUser = "", reason: Reason = "", as_json: AsJson = False) -> None:
    """Cancel a run. A call that runs is killed; nothing more runs."""
    _control(run, "cancel", as_user, reason, as_json=as_json)


def pause(run: Run, as_user: AsUser = "", reason: Reason = "", as_json: AsJson = False) -> None:
    """Pause a run: no call starts until it is resumed."""
    _control(run, "pause", as_user, reason, as_json=as_json)


def resume(run: Run, as_user: AsUser = "", reason: Reason = "", as_json: AsJson = False) -> None:
    """Resume a paused run."""
    _control(run, "resume", as_user, reason, as_json=as_json)


def _control(run: str, verb: Verb, user: str, reason: str, *, as_json: bool) -> None:
    from interlock.cli.resolve import person_of

    own = settings()
    by = person_of(bundle_of(own), own.tenant, user)
    run = known(own, run)

    async def ask() -> str:
        async with acting(own) as client:
            return (await client.control(run, verb, by=by, reason=reason)).status

    status = asyncio.run(ask())
    if as_json:
        say.document({"run": run, "verb": verb, "by": by, "status": status})
    else:
        say.line(f"run {run} {_PAST[verb]}")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(cancel)
    app.command()(pause)
    app.command()(resume)
