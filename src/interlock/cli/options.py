"""Options that many commands share."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

JSON_WANTED: Final = "interlock.json"


def _remember_json(context: typer.Context, value: bool) -> bool:
    """Errors are told as JSON too, and they are told at the root."""
    context.find_root().meta[JSON_WANTED] = value
    return value


AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output.", callback=_remember_json)
]
AsUser = Annotated[
    str,
    typer.Option(
        "--as",
        metavar="user:NAME",
        envvar="INTERLOCK_USER",
        show_envvar=True,
        help="The person who does this, as permissions/ knows them.",
    ),
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, a beginning of it that is unique, or `last`.")]
Request = Annotated[
    str,
    typer.Argument(metavar="ID", help="A request's id, the end of an open one's (`a1`), or `last`."),
]


def group(help: str, **options: Any) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(help=help, no_args_is_help=True, **options)
