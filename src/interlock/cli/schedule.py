"""`interlock schedule create` and `renew`: what a person signs for runs to come."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interlock.cli import say
from interlock.cli.choices import among, json_value
from interlock.cli.options import AsJson, AsUser, group
from interlock.cli.run_start import fitting, manifest_of
from interlock.cli.session import acting, bundle_of, settings
from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from interlock.approval import ScheduleClaims
    from interlock.run.schedule_spec import Manner
    from interlock.types.timing import Timing

app = group("Start runs at set times.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]
Until = Annotated[
    str, typer.Option(metavar="TIME", help="When it ends, as 2027-01-31 or 90d from now; at most a year away.")
]
Release = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="What `interlock compile` wrote; else the project is compiled."),
]
Overlap = Annotated[
    str, typer.Option(help="While the run before goes on: skip, buffer_one, buffer_all, cancel or allow.")
]


@app.command()
def create(
    name: Name,
    runs: Annotated[str, typer.Argument(metavar="WORKFLOW|AGENT", help="What its runs are.")],
    cron: Annotated[
        list[str] | None,
        typer.Option(metavar="LINE", help="MINUTE HOUR DAY MONTH WEEKDAY, or @daily and the like."),
    ] = None,
    every: Annotated[
        list[str] | None, typer.Option(metavar="DURATION[/OFFSET]", help="For example 30m, or 1h/15m.")
    ] = None,
    calendar: Annotated[
        list[str] | None, typer.Option(metavar="FIELDS", help="For example 'hour=9 minute=0,30 weekday=mon-fri'.")
    ] = None,
    zone: Annotated[str, typer.Option(help="Time zone of --cron and --calendar.")] = "UTC",
    input_: Annotated[
        str, typer.Option("--input", metavar="JSON|@FILE|-", help="The workflow's input, or the agent's task.")
    ] = "",
    task: Annotated[str, typer.Option(help="The agent's task as text, instead of --input.")] = "",
    overlap: Overlap = "skip",
    jitter: Annotated[str, typer.Option(metavar="DURATION", help="Start up to so much after the moment.")] = "",
    catch_up: Annotated[
        str,
        typer.Option(metavar="DURATION", help="After an outage, start runs so much too late still."),
    ] = "1h",
    until: Until = "90d",
    paused: Annotated[bool, typer.Option("--paused", help="Start no runs before `schedule resume`.")] = False,
    release: Release = None,
    as_user: AsUser = "",
    as_json: AsJson = False,
) -> None:
    """Make a schedule: a person signs what runs, with which input, at which moments, until when."""
    from interlock.run.timing_text import timing

    if input_ and task:
        raise InvalidInput("--task: give --input or --task, not both")
    value = json_value(input_, "--input") if input_ else task or None
    moments = timing(cron=cron or [], every=every or [], calendar=calendar or [], zone=zone)
    manner = manner_of(overlap, jitter, catch_up)
    options = {"until": moment_of(until, "--until"), "manner": manner, "paused": paused}
    claims = asyncio.run(_created(name, (runs, value), moments, release, as_user, options))
    _tell(name, claims, "made", as_json=as_json)


@app.command()
def renew(
    name: Name,
    until: Until = "90d",
    release: Release = None,
    as_user: AsUser = "",
    as_json: AsJson = False,
) -> None:
    """Sign a schedule anew: the project as it is now, for another while, in your name."""
    end = moment_of(until, "--until")
    claims = asyncio.run(_renewed(name, end, release, as_user))
    _tell(name, claims, "renewed", as_json=as_json)


async def _created(
    name: str,
    asked: tuple[str, Any],
    moments: Timing,
    release: Path | None,
    user: str,
    options: dict[str, Any],
) -> ScheduleClaims:
    from interlock.cli.resolve import person_of
    from interlock.run.schedules import Schedules

    own = settings()
    by = person_of(bundle_of(own), own.tenant, user)
    async with acting(own) as client:
        manifest = await asyncio.to_thread(manifest_of, own, client, release)
        fit = (asked[0], fitting(manifest, *asked))
        return await Schedules(client).create(name, manifest, fit, moments, by=by, **options)


async def _renewed(name: str, end: datetime, release: Path | None, user: str) -> ScheduleClaims:
    from interlock.cli.resolve import person_of
    from interlock.run.schedules import Schedules

    own = settings()
    by = person_of(bundle_of(own), own.tenant, user)
    async with acting(own) as client:
        manifest = await asyncio.to_thread(manifest_of, own, client, release)
        return await Schedules(client).renew(name, manifest, by=by, until=end)


def manner_of(overlap: str, jitter: str = "", catch_up: str = "1h") -> Manner:
    """How a schedule goes about its runs, as it was typed.

    Raises:
        InvalidInput: names the option.
    """
    from typing import get_args

    from pydantic import ValidationError

    from interlock.run.schedule_spec import Manner
    from interlock.run.schedule_spec import Overlap as Known

    chosen: Any = among(overlap, get_args(Known), "--overlap")
    given = {"jitter_s": seconds_of(jitter, "--jitter"), "catch_up_s": seconds_of(catch_up, "--catch-up")}
    try:
        return Manner(overlap=chosen, **given)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).removesuffix("_s").replace("_", "-")
        raise InvalidInput(f"--{option}: {first['msg']}") from error


def seconds_of(text: str, option: str) -> int:
    """A duration in seconds; 0 where none was given.

    Raises:
        InvalidInput: it is none; names the option.
    """
    from interlock.policy.durations import duration, seconds

    try:
        return seconds(duration(text)) if text else 0
    except ValueError as error:
        raise InvalidInput(f"{option}: {error}") from error


def moment_of(text: str, option: str) -> datetime:
    """A moment: `2027-01-31`, `2027-01-31T09:00:00+01:00`, or `90d` from now; UTC where no zone is given.

    Raises:
        InvalidInput: it is none; names the option.
    """
    from datetime import UTC, timedelta

    if text[-1:] in ("s", "m", "h", "d") and text[:-1].isdecimal():
        return datetime.now(UTC) + timedelta(seconds=seconds_of(text, option))
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{option}: {text!r} is no time", next_step="for example 2027-01-31, or 90d") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _tell(name: str, claims: ScheduleClaims, done: str, *, as_json: bool) -> None:
    from datetime import UTC

    end = datetime.fromtimestamp(claims.exp, UTC)
    if as_json:
        say.document({"schedule": name, "by": claims.sub, "workflow": claims.workflow, "until": end.isoformat()})
    else:
        say.line(f"schedule {name} {done}: runs {claims.workflow} for {claims.sub} until {end:%Y-%m-%d %H:%M}Z")
