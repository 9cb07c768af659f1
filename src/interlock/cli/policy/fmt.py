"""`interlock policy fmt`: one layout for all policy files."""

from __future__ import annotations

from typing import Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.policy.check import Folder, folder_of
from interlock.cli.session import settings


def fmt(
    folder: Folder = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a file would change.")] = False,
    as_json: AsJson = False,
) -> None:
    """Lay the policy's files out anew: order of keys, lines, quotes. Comments stay, and so does what they say.

    Nothing is written if the policy does not load, or would be another one.
    """
    from interlock.policy.formatting import reformatted, write

    at = folder_of(settings(), folder)
    with say.working("formatting", quiet=as_json):
        changed = reformatted(at)
    if not check:
        write(changed)
    names = [str(path) for path in changed]
    if as_json:
        say.document({"ok": not (check and changed), "changed": names, "written": not check})
    else:
        for name in names:
            say.line(f"{'would change' if check else 'wrote'} {name}")
        say.line(
            f"{len(names)} file(s) {'to change' if check else 'changed'}" if names else "no change", style="bold"
        )
    if check and changed:
        say.note("next: interlock policy fmt", style="")
        raise typer.Exit(1)
