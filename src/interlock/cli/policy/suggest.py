"""`interlock policy suggest`: rules out of the record."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.policy.record import OfRuns, Since, moment, runs_of
from interlock.cli.session import opened, settings
from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from interlock.run.suggesting import Suggested

_SHOWN = 10


def suggest(
    from_runs: Annotated[
        bool, typer.Option("--from-runs", help="From recorded runs: all of them, or those of --run and --since.")
    ] = False,
    runs: OfRuns = None,
    since: Since = "",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the rules into this new file instead of printing them."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The narrowest rules that cover what was allowed or approved and went well, and the rules that nobody used.

    What is printed is a policy file that loads beside the others. Exit 1: no suggested rule covers a good call.
    """
    if not from_runs:
        raise InvalidInput("give --from-runs: there is nothing else to learn from", next_step="--from-runs")
    begin = moment(since)
    with say.working("reading the record", quiet=as_json):
        found = _found(list(runs or ()), begin)
    if out is not None:
        _write(out, found.text)
    if as_json:
        _document(found)
    else:
        _tell(found, out)
    if found.uncovered:
        raise typer.Exit(1)


def _found(names: list[str], since: datetime | None) -> Suggested:
    from interlock.run.suggesting import suggest

    own = settings()
    with opened(own) as (ledger, blobs):
        return suggest(ledger, blobs, own.root / "permissions", runs=runs_of(ledger, names), since=since)


def _write(out: Path, text: str) -> None:
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InvalidInput(f"--out: {str(out)!r} cannot be made: {error.strerror}") from error


def _document(found: Suggested) -> None:
    say.document(
        {
            "yaml": found.text,
            "rules": [
                {
                    "rule": one.rule.model_dump(mode="json", by_alias=True, exclude_unset=True),
                    "requests": one.requests,
                    "remarks": one.remarks,
                }
                for one in found.suggestions
            ],
            "unused": [{"source": one.source, "message": one.message} for one in found.unused],
            "decisions": found.decisions,
            "good": found.good,
            "uncovered": found.uncovered,
        }
    )


def _tell(found: Suggested, out: Path | None) -> None:
    """The file on standard output, so that it can be kept as it is; everything else beside it."""
    if out is None:
        say.line(found.text.rstrip("\n"))
    for problem in found.unused:
        say.note(str(problem), style="")
    for line in found.uncovered[:_SHOWN]:
        say.note(f"not covered: {line}", style="red")
    if len(found.uncovered) > _SHOWN:
        say.note(f"not covered: {len(found.uncovered) - _SHOWN} more", style="red")
    say.note(
        f"{len(found.suggestions)} rules from {found.good} good calls of {found.decisions} decisions; "
        f"{len(found.unused)} rules decided nothing",
        style="bold",
    )
