"""`interlock builds`: which build of the graph worker runs are with, and which one new runs go to."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.session import settings

app = typer.Typer(no_args_is_help=True, help="Builds of the graph worker: code may change under open runs.")


@app.command("list")
def list_builds(as_json: AsJson = False) -> None:
    """List the builds that the Temporal server knows, newest first, and this checkout's."""
    from interlock.run.build import build_id, builds
    from interlock.run.connection import connect

    own = settings()

    async def found() -> list[dict[str, str]]:
        return [asdict(build) for build in await builds(await connect(own), own)]

    known, here = asyncio.run(found()), build_id(own)
    if as_json:
        say.document({"builds": known, "here": here})
        return
    for build in known:
        say.line(f"{build['name']}  {build['status']}{'  (this checkout)' if build['name'] == here else ''}")
    if here not in {build["name"] for build in known}:
        say.line(f"{here}  not known to the server  (this checkout)")


@app.command()
def current(
    build: Annotated[str, typer.Argument(help="The build; `here`: that of this checkout.")], as_json: AsJson = False
) -> None:
    """Have new runs go to a build, and open ones as soon as they go on in a new execution."""
    from interlock.run.build import build_id, make_current
    from interlock.run.connection import connect

    own = settings()
    name = build_id(own) if build == "here" else build

    async def made() -> None:
        await make_current(await connect(own), own, name)

    asyncio.run(made())
    if as_json:
        say.document({"current": name})
    else:
        say.line(f"{name} is current")
