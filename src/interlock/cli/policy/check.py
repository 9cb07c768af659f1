"""`interlock policy check`: every mistake in the policy's files, each with its line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.session import settings
from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from interlock.policy import Bundle, Problem
    from interlock.settings import Settings

Folder = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FOLDER]", help="The policy's folder, else permissions/ of this project.", show_default=False
    ),
]
Alone = Annotated[
    bool, typer.Option("--alone", help="Look at the files only, not at the agents and tools that they name.")
]


def check(folder: Folder = None, alone: Alone = False, as_json: AsJson = False) -> None:
    """Find every mistake in the policy's files: unknown keys and names, cycles, what could never match.

    The files are refused as a whole: one mistake, and the policy in force stays as it is.
    """
    from interlock.policy import read_policy
    from interlock.policy.lint import references_to

    own = settings()
    at = folder_of(own, folder)
    with say.working("checking", quiet=as_json):
        bundle, problems = read_policy(at)
        if bundle is not None:
            problems = references_to(bundle, None) if alone else _beside_project(own, bundle)
    if as_json:
        say.document({"ok": not problems, "bundle": bundle.digest if bundle else None, "problems": shown(problems)})
    else:
        _tell(problems)
    if problems:
        raise typer.Exit(1)


def folder_of(own: Settings, folder: Path | None) -> Path:
    """The policy's folder.

    Raises:
        InvalidInput: there is none.
    """
    found = folder or own.root / "permissions"
    if not found.is_dir():
        raise InvalidInput(f"FOLDER: {str(found)!r} is no folder", next_step="name the folder of a policy")
    return found


def shown(problems: list[Problem]) -> list[dict[str, str | int]]:
    """Problems as JSON has them."""
    return [
        {"file": problem.place[0], "line": problem.place[1], "code": problem.code, "message": problem.message}
        for problem in problems
    ]


def _beside_project(own: Settings, bundle: Bundle) -> list[Problem]:
    from interlock.cli.policy.around import surroundings
    from interlock.policy.lint import references_to

    around, broken = surroundings(own)
    found = [*broken, *references_to(bundle, around)]
    return sorted(set(found), key=lambda problem: problem.order)


def _tell(problems: list[Problem]) -> None:
    for problem in problems:
        say.line(str(problem))
    say.line(f"{len(problems)} problem(s)" if problems else "no problems", style="bold")
    if not problems:
        say.note("next: interlock policy lint && interlock policy test")
