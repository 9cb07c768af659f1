"""`interlock run start`: compile the project, import the files, start the run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interlock.cli import say
from interlock.cli.choices import among, json_value
from interlock.cli.options import AsJson, AsUser
from interlock.cli.run_wait import conclude, wait_for
from interlock.cli.session import acting, bundle_of, settings
from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from interlock.definitions import Manifest
    from interlock.run.client import RunClient
    from interlock.run.contracts import RunOutcome
    from interlock.settings import Settings


def start(
    name: Annotated[str, typer.Argument(help="A workflow, or an agent.")],
    input_: Annotated[
        str, typer.Option("--input", metavar="JSON|@FILE|-", help="The workflow's input, or the agent's task.")
    ] = "",
    task: Annotated[str, typer.Option(help="The agent's task as text, instead of --input.")] = "",
    workspace: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder whose files the run starts from; it is copied.")
    ] = None,
    release: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What `interlock compile` wrote; else the project is compiled."),
    ] = None,
    as_user: AsUser = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for its end; the exit code is then its outcome.")
    ] = False,
    id_: Annotated[str, typer.Option("--id", help="The run's id; else one is made.")] = "",
    as_json: AsJson = False,
) -> None:
    """Start a run of a workflow or of an agent, for a person."""
    if input_ and task:
        raise InvalidInput("--task: give --input or --task, not both")
    value = json_value(input_, "--input") if input_ else task or None
    run, outcome = asyncio.run(_started(name, value, (workspace, release), as_user, id_, wait=wait, quiet=as_json))
    if outcome is not None:
        conclude(outcome, as_json=as_json)
    elif as_json:
        say.document({"run": run})
    else:
        say.line(run)
        say.note(f"follow it: interlock run wait {run}")


async def _started(
    name: str,
    value: Any,
    files: tuple[Path | None, Path | None],
    user: str,
    run: str,
    *,
    wait: bool,
    quiet: bool,
) -> tuple[str, RunOutcome | None]:
    from interlock.cli.resolve import person_of
    from interlock.run.client import new_run
    from interlock.run.contracts import AGENT_RUN
    from interlock.run.files import import_workspace

    own, (folder, release) = settings(), files
    requester = person_of(bundle_of(own), own.tenant, user)
    async with acting(own) as client:
        with say.working("compiling the project", quiet=quiet):
            manifest = await asyncio.to_thread(manifest_of, own, client, release)
        value = fitting(manifest, name, value)
        run = run or new_run(name if name in manifest.workflows else AGENT_RUN)
        workspace = await asyncio.to_thread(import_workspace, folder, client.blobs.of(run)) if folder else ""
        run = await client.start(manifest, name, value, requester=requester, workspace=workspace, run=run)
        if not wait:
            return run, None
        if not quiet:
            say.note(run)
        return run, await wait_for(client, own, run, quiet=quiet)


def manifest_of(own: Settings, client: RunClient, release: Path | None) -> Manifest:
    """The project as it is compiled now, or as a release has it."""
    from interlock.run.compilation import compiled
    from interlock.run.release import load_release

    if release is None:
        return compiled(own, client.blobs)
    try:
        data = release.read_bytes()
    except OSError as error:
        raise InvalidInput(f"--release: {str(release)!r} cannot be read: {error.strerror}") from error
    return load_release(data, client.blobs)


def fitting(manifest: Manifest, name: str, value: Any) -> Any:
    """The input; where none was given, an empty one that the workflow's schema can speak about.

    Raises:
        InvalidInput: neither a workflow nor an agent has this name, or an agent has nothing to do.
    """
    among(name, [*manifest.workflows, *manifest.agents], "NAME")
    if value is not None:
        return value
    if name not in manifest.workflows:
        raise InvalidInput(f"--task: what is agent {name!r} to do?", next_step="--task TEXT, or --input JSON")
    return {} if manifest.workflows[name].input_schema else None


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(start)
