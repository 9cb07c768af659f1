"""Every command of the command line, found in the application itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import typer

from interlock.cli.main import app


@cache
def leaves() -> dict[str, Any]:
    """`run start` → its command."""
    return dict(_leaves(typer.main.get_command(app), ()))


def _leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield " ".join(path), command
        return
    for name, child in command.commands.items():
        yield from _leaves(child, (*path, name))
