"""`interlock run live`: what running calls print, as it comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import typer

from interlock.cli import say
from interlock.cli.options import AsJson, Run
from interlock.cli.run_wait import known
from interlock.cli.session import settings

if TYPE_CHECKING:
    from interlock.run.live import LiveOutput

LOOK_EVERY_S: Final = 1.0


def live(
    run: Run,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the run has ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a run's calls print while they run. For looking on: the whole output is in each call's result.

    With --follow and --json, one document a line.
    """
    asyncio.run(_live(run, follow=follow, as_json=as_json))


async def _live(run: str, *, follow: bool, as_json: bool) -> None:
    from interlock.run.live import live_run
    from interlock.run.worker import connect

    own = settings()
    run, temporal = known(own, run), await connect(own)
    seen: dict[str, int] = {}
    going_on = True
    while going_on:
        is_open, calls = await live_run(temporal, run)
        _tell([one for one in calls if one.printed != seen.get(one.call)], seen, as_json=as_json, follow=follow)
        seen.update({one.call: one.printed for one in calls})
        if going_on := follow and is_open:
            await asyncio.sleep(LOOK_EVERY_S)


def _tell(calls: list[LiveOutput], seen: dict[str, int], *, as_json: bool, follow: bool) -> None:
    if as_json:
        if calls or not follow:
            say.document({"calls": [one.model_dump(mode="json") for one in calls]})
        return
    for one in calls:
        name, before = one.call.rpartition(":")[2], seen.get(one.call, 0)
        if one.withheld:
            say.line(f"{name}: {one.printed} bytes, shown when the call has ended: a rule redacts them")
            continue
        new = one.tail.encode()[-(one.printed - before) :] if one.printed > before else b""
        left_out = one.printed - before - len(new)
        note = f" ({left_out} bytes before these are not shown)" if left_out > 0 else ""
        say.line(f"{name}: {one.printed} bytes so far{note}")
        say.safe_line(new.decode("utf-8", "replace").rstrip("\n"))
    if not calls and not follow:
        say.line("no call prints anything now")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(live)
