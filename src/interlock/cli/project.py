"""`interlock init`, `check` and `compile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.session import settings
from interlock.errors import InvalidInput


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The project's name: a to z, 0 to 9 and _.")],
    into: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder to make; else one of the project's name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a new project: agents, tools, permissions, workflows and tests that run as they are."""
    from interlock.project import scaffold

    folder = into or Path(name)
    written = scaffold(name, folder)
    if as_json:
        say.document({"name": name, "folder": str(folder), "files": [path.as_posix() for path in written]})
        return
    say.line(f"wrote {len(written)} files into {folder}")
    say.note(f"next: cd {folder} && interlock sandbox build && interlock check && interlock dev")


def check(as_json: AsJson = False) -> None:
    """Find every mistake that needs no run: each name is resolved, each tool compiled, each graph run once."""
    from interlock.run.compilation import checked

    own = settings()
    with say.working("checking", quiet=as_json):
        problems = checked(own)
    if as_json:
        found = [problem.model_dump(mode="json") for problem in problems]
        say.document({"ok": not problems, "problems": found})
    else:
        for problem in problems:
            say.line(str(problem))
        say.line(f"{len(problems)} problem(s)" if problems else "no problems", style="bold")
        if not problems:
            say.note("next: interlock policy lint && interlock policy test")
    if problems:
        raise typer.Exit(1)


def compile_(
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")] = Path("release.json"),
    as_json: AsJson = False,
) -> None:
    """Compile the project into one file, for `run start --release` where neither team code nor Docker may be."""
    from interlock.digest import parse
    from interlock.run.release import release

    own = settings()
    with say.working("compiling the project", quiet=as_json):
        data = release(own)
    try:
        out.write_bytes(data)
    except OSError as error:
        raise InvalidInput(f"--out: {str(out)!r} cannot be written: {error.strerror}") from error
    manifest = parse(data)["manifest"]
    if as_json:
        say.document({"manifest": manifest, "file": str(out), "bytes": len(data)})
        return
    say.line(f"{out}: manifest {manifest}, {len(data)} bytes")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(init)
    app.command()(check)
    app.command("compile")(compile_)
