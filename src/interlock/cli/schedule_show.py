"""`interlock schedule list` and `show`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.schedule import Name
from interlock.cli.session import acting, settings

if TYPE_CHECKING:
    from interlock.run.schedules import Planned

_HEADERS = ("schedule", "state", "runs", "for", "next", "until")


def list_(as_json: AsJson = False) -> None:
    """List the project's schedules."""
    found = asyncio.run(_all())
    if as_json:
        say.document({"schedules": [_document(one) for one in found]})
    elif found:
        say.table(_HEADERS, [_row(one) for one in found])
    else:
        say.line("no schedules")


def show(name: Name, as_json: AsJson = False) -> None:
    """Show a schedule: what was signed, its next moments, its last runs."""
    one = asyncio.run(_one(name))
    if as_json:
        say.document(_document(one))
        return
    say.safe_line(f"schedule {name}: {_state(one)}", style="bold")
    for label, text in _facts(one):
        say.safe_line(f"{label + ':':<10} {text}")
    if one.problem:
        say.note(f"no run of it may act: {one.problem}", style="bold yellow")


async def _all() -> list[Planned]:
    from interlock.run.schedules import Schedules

    async with acting(settings()) as client:
        return [one async for one in Schedules(client).list()]


async def _one(name: str) -> Planned:
    from interlock.run.schedules import Schedules

    async with acting(settings()) as client:
        return await Schedules(client).show(name)


def _state(one: Planned) -> str:
    return "broken" if one.problem else "paused" if one.paused else "active"


def _row(one: Planned) -> tuple[str, ...]:
    following = _told(one.upcoming[0]) if one.upcoming and not one.paused else ""
    return (one.name, _state(one), one.claims.workflow, one.claims.sub, following, _told(_end(one)))


def _facts(one: Planned) -> list[tuple[str, str]]:
    import json

    timing = one.claims.timing.model_dump(mode="json", exclude_defaults=True)
    return [
        ("runs", one.claims.workflow),
        ("for", one.claims.sub),
        ("input", json.dumps(one.value, ensure_ascii=False)),
        ("manifest", one.claims.manifest),
        ("moments", json.dumps(timing)),
        ("until", _told(_end(one))),
        ("overlap", one.manner.overlap),
        ("note", one.note),
        ("next", ", ".join(map(_told, one.upcoming[:5])) or "none"),
        ("last runs", ", ".join(one.recent[-5:]) or "none"),
    ]


def _document(one: Planned) -> dict[str, Any]:
    return {
        "schedule": one.name,
        "state": _state(one),
        "problem": one.problem,
        "workflow": one.claims.workflow,
        "by": one.claims.sub,
        "input": one.value,
        "manifest": one.claims.manifest,
        "timing": one.claims.timing.model_dump(mode="json"),
        "until": _end(one).isoformat(),
        "paused": one.paused,
        "note": one.note,
        **one.manner.model_dump(mode="json"),
        "next": [moment.isoformat() for moment in one.upcoming],
        "runs": list(one.recent),
    }


def _end(one: Planned) -> datetime:
    return datetime.fromtimestamp(one.claims.exp, UTC)


def _told(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("list")(list_)
    app.command()(show)
