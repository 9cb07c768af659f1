"""`interlock schedule pause`, `resume`, `trigger`, `backfill` and `delete`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interlock.cli import say
from interlock.cli.options import AsJson, AsUser
from interlock.cli.run_control import Reason
from interlock.cli.schedule import Name, Overlap, manner_of, moment_of
from interlock.cli.session import acting, bundle_of, settings

if TYPE_CHECKING:
    from interlock.run.schedules import Schedules


def pause(name: Name, as_user: AsUser = "", reason: Reason = "", as_json: AsJson = False) -> None:
    """Start no more runs of a schedule until it is resumed."""
    _done(name, "paused", as_user, lambda found, by: found.pause(name, by=by, reason=reason), as_json=as_json)


def resume(name: Name, as_user: AsUser = "", reason: Reason = "", as_json: AsJson = False) -> None:
    """Start runs of a paused schedule again."""
    _done(name, "resumed", as_user, lambda found, by: found.resume(name, by=by, reason=reason), as_json=as_json)


def delete(name: Name, as_user: AsUser = "", as_json: AsJson = False) -> None:
    """End a schedule. Runs that go on are not touched. Prints a policy file that ends its statements, too."""
    rule = _done(name, "deleted", as_user, lambda found, by: found.delete(name), as_json=as_json, gives="rule")
    if not as_json:
        say.note("what was signed holds until it expires; this in permissions/ denies every call of its runs:")
        say.line(f"rules:\n{rule}".rstrip())


def trigger(name: Name, as_user: AsUser = "", as_json: AsJson = False) -> None:
    """Start a run of what a schedule runs, now, in your name."""
    run = _done(name, "triggered", as_user, lambda found, by: found.trigger(name, by=by), as_json=as_json)
    if not as_json:
        say.line(run)


def backfill(
    name: Name,
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="The first moment.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="The last moment.")],
    overlap: Overlap = "buffer_all",
    as_user: AsUser = "",
    as_json: AsJson = False,
) -> None:
    """Start the runs of past moments that had none, since the schedule was signed."""
    first, last = moment_of(start, "--from"), moment_of(end, "--to")

    async def fill(found: Schedules, by: str) -> None:
        await found.backfill(name, first, last, manner_of(overlap))

    _done(name, "backfilled", as_user, fill, as_json=as_json)


def _done(
    name: str,
    done: str,
    user: str,
    act: Callable[[Schedules, str], Awaitable[Any]],
    *,
    as_json: bool,
    gives: str = "run",
) -> Any:
    from interlock.cli.resolve import person_of

    own = settings()
    by = person_of(bundle_of(own), own.tenant, user)

    async def acted() -> Any:
        from interlock.run.schedules import Schedules

        async with acting(own) as client:
            return await act(Schedules(client), by)

    given = asyncio.run(acted())
    if as_json:
        say.document({"schedule": name, "done": done, "by": by, **({gives: given} if given else {})})
    else:
        say.note(f"schedule {name} {done}") if given else say.line(f"schedule {name} {done}")
    return given


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (pause, resume, trigger, backfill, delete):
        app.command()(command)
