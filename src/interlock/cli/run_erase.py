"""`interlock run erase`: the content of an ended run, made unreadable everywhere."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson, AsUser, Run
from interlock.cli.session import acting, bundle_of, opened, settings
from interlock.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from interlock.audit import Ledger
    from interlock.run.erase_workflow import EraseOutput

Reason = Annotated[str, typer.Option(help="Why; it is recorded for good.")]


def erase(run: Run, reason: Reason = "", as_user: AsUser = "", as_json: AsJson = False) -> None:
    """Erase what a run read and wrote: its data key and its content. It cannot be undone.

    What happened stays on record and verifies: who asked, which calls ran, who approved. The run must have ended.
    """
    from interlock.cli.resolve import person_of, run_of

    if not reason.strip():
        raise InvalidInput("--reason: why is the run erased?", next_step="--reason TEXT; it is recorded for good")
    own = settings()
    by = person_of(bundle_of(own), own.tenant, as_user)
    with opened(own) as (ledger, _):
        run = run_of(ledger, run)
        row, others = ledger.run(run), _related(ledger, run)
    if not row.ended:
        raise Conflict(f"run {run!r} has not ended ({row.status})", next_step=f"interlock run cancel {run}")

    async def ask() -> EraseOutput:
        async with acting(own) as client:
            return await client.erase(run, by=by, reason=reason)

    with say.working("erasing", quiet=as_json):
        done = asyncio.run(ask())
    if as_json:
        say.document({**done.model_dump(mode="json"), "related": others})
        return
    say.line(f"run {run} is erased: its content cannot be read any more, its record stays and verifies")
    for other in others:
        say.note(f"run {other} has content that passed between the two: interlock run erase {other}")


def _related(ledger: Ledger, run: str) -> list[str]:
    """Runs that handed this one its work, or that it handed work to, and that are not erased."""
    origin = ledger.origin(run)
    found = [row.child for row in ledger.hand_offs(run)] + ([origin.run] if origin else [])
    return [other for other in dict.fromkeys(found) if ledger.erasure(other) is None]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(erase)
