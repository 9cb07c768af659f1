"""`interlock run live`: what running calls print and nodes write, as it comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import typer

from interlock.cli import say
from interlock.cli.options import AsJson, Run
from interlock.cli.run_wait import known
from interlock.cli.session import settings

if TYPE_CHECKING:
    from interlock.graph import Written
    from interlock.run.live import LiveOutput, LiveRun

LOOK_EVERY_S: Final = 1.0


def live(
    run: Run,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the run has ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a run's calls print, and the nodes of agents' graphs write, while they run. For looking on: the
    whole output is in each call's result, and what a node writes is kept nowhere.

    With --follow and --json, one document a line.
    """
    asyncio.run(_live(run, follow=follow, as_json=as_json))


async def _live(run: str, *, follow: bool, as_json: bool) -> None:
    from interlock.run.connection import connect
    from interlock.run.live import live_run

    own = settings()
    run, temporal = known(own, run), await connect(own)
    seen: dict[str, int] = {}
    going_on = True
    while going_on:
        now = await live_run(temporal, run)
        _tell(_news(now, seen), seen, as_json=as_json, follow=follow)
        seen.update(
            {one.call: one.printed for one in now.calls} | {at: one.written for at, one in now.nodes.items()}
        )
        if going_on := follow and now.open:
            await asyncio.sleep(LOOK_EVERY_S)


def _news(now: LiveRun, seen: dict[str, int]) -> LiveRun:
    """Only what has changed since it was seen."""
    calls = [one for one in now.calls if one.printed != seen.get(one.call)]
    return now._replace(
        calls=calls, nodes={at: one for at, one in now.nodes.items() if one.written != seen.get(at)}
    )


def _tell(news: LiveRun, seen: dict[str, int], *, as_json: bool, follow: bool) -> None:
    if as_json:
        if news.calls or news.nodes or not follow:
            calls = [one.model_dump(mode="json") for one in news.calls]
            say.document({"calls": calls, "nodes": [one.model_dump(mode="json") for one in news.nodes.values()]})
        return
    for call in news.calls:
        _tell_call(call, seen.get(call.call, 0))
    for at, node in news.nodes.items():
        _tell_node(node, seen.get(at, 0))
    if not news.calls and not news.nodes and not follow:
        say.line("no call prints and no node writes anything now")


def _tell_call(one: LiveOutput, before: int) -> None:
    name = one.call.rpartition(":")[2]
    if one.withheld:
        say.line(f"{name}: {one.printed} bytes, shown when the call has ended: a rule redacts them")
        return
    new = one.tail.encode()[-(one.printed - before) :] if one.printed > before else b""
    left_out = one.printed - before - len(new)
    note = f" ({left_out} bytes before these are not shown)" if left_out > 0 else ""
    say.line(f"{name}: {one.printed} bytes so far{note}")
    # Not everything that a terminal would obey: tools and nodes write what they like.
    say.line(new.decode("utf-8", "replace").rstrip("\n"))


def _tell_node(one: Written, before: int) -> None:
    # Tried again, an activity writes from its beginning.
    new = one.tail[-(one.written - before) :] if one.written > before else one.tail
    say.line(f"{one.node}: {one.written} characters so far")
    say.line(new.rstrip("\n"))


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(live)
