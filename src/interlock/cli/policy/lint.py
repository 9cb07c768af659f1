"""`interlock policy lint`: what a policy that loads still gets wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.policy.check import Alone, Folder, folder_of
from interlock.cli.session import settings
from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from interlock.policy.lint import LintFinding
    from interlock.settings import Settings

COLOURS = {"error": "bold red", "warning": "yellow", "note": ""}


def lint(
    folder: Folder = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 also for warnings.")] = False,
    sarif: Annotated[
        Path | None,
        typer.Option("--sarif", metavar="FILE", help="Also write the findings as SARIF 2.1.0.", show_default=False),
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            "--as-of", formats=["%Y-%m-%d"], help="Day for expired rules; else today.", show_default=False
        ),
    ] = None,
    alone: Alone = False,
    as_json: AsJson = False,
) -> None:
    """Find rules that never decide, grant too much, cannot be met, or are left over.

    A comment `# lint: allow CODE reason` right above a rule leaves that finding be; it is shown with its reason.
    """
    own = settings()
    at = folder_of(own, folder)
    with say.working("linting", quiet=as_json):
        found = _findings(own, at, as_of, alone)
    if sarif is not None:
        _write(sarif, found)
    counts = [one for one in found if not one.silenced]
    worst = {one.severity for one in counts}
    if as_json:
        say.document({"ok": not counts, "findings": [one.model_dump(mode="json") for one in found]})
    else:
        _tell(found)
    if "error" in worst or (strict and "warning" in worst):
        raise typer.Exit(1)


def _findings(own: Settings, folder: Path, as_of: datetime | None, alone: bool) -> list[LintFinding]:
    from interlock.cli.policy.around import surroundings
    from interlock.errors import ProjectError
    from interlock.policy import load_bundle
    from interlock.policy.lint import comments_of, lint

    bundle = load_bundle(folder)
    around = None
    if not alone:
        around, broken = surroundings(own)
        if broken:
            told = tuple(map(str, broken))
            raise ProjectError("the project has mistakes of its own", problems=told, next_step="interlock check")
    day = (as_of or datetime.now(UTC)).date()
    return lint(bundle, day, around, comments_of(folder, None if alone else own.root))


def _write(path: Path, found: list[LintFinding]) -> None:
    import json

    from interlock import __version__
    from interlock.policy.sarif import sarif as log_of

    try:
        path.write_text(json.dumps(log_of(found, version=__version__), indent=1) + "\n")
    except OSError as error:
        raise InvalidInput(f"--sarif: {str(path)!r} cannot be written: {error.strerror}") from error


def _tell(found: list[LintFinding]) -> None:
    for one in found:
        if one.silenced:
            say.line(f"{one.file}:{one.line}: silenced {one.code}: {one.silenced}", style="dim")
        else:
            say.line(f"{one} {one.next_step}", style=COLOURS[one.severity])
    counts = [one.severity for one in found if not one.silenced]
    kinds = ", ".join(f"{counts.count(kind)} {kind}(s)" for kind in COLOURS if kind in counts)
    left = f"; {len(found) - len(counts)} silenced" if len(found) > len(counts) else ""
    say.line(f"{kinds or 'no findings'}{left}", style="bold")
