"""`interlock run diff-workspace`: what a run's calls did to its files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from interlock.cli import say
from interlock.cli.choices import among
from interlock.cli.options import AsJson, Run
from interlock.cli.session import opened, settings

if TYPE_CHECKING:
    from interlock.audit import Ledger

START: Final = "start"
END: Final = "end"
_MOMENT: Final = "`start`, a call's id or its end (`c4`: the files after it), or `end`."


def diff_workspace(
    run: Run,
    before: Annotated[str, typer.Argument(metavar="A", help=_MOMENT)] = START,
    after: Annotated[str, typer.Argument(metavar="B", help=_MOMENT)] = END,
    as_json: AsJson = False,
) -> None:
    """Show how a run's files differ between two moments of it."""
    from interlock.approval.changes import workspace_changes
    from interlock.cli.resolve import run_of
    from interlock.run.erasure import content_of
    from interlock.run.files import load_tree

    with opened(settings()) as (ledger, blobs):
        moments = _moments(ledger, run)
        first, second = (moments[_moment(text, moments, name)] for text, name in ((before, "A"), (after, "B")))
        content = content_of(ledger, blobs, run_of(ledger, run))
        changes = workspace_changes(load_tree(first, content), load_tree(second, content), content)
    if as_json:
        shown = [change.model_dump(mode="json") for change in changes]
        say.document({"before": first, "after": second, "changes": shown})
        return
    from interlock.cli.file_changes import tell_changes

    say.line(f"{before} {first or '(no files)'}")
    say.line(f"{after} {second or '(no files)'}")
    say.line(f"{len(changes)} file(s) differ" if changes else "the same files")
    tell_changes(changes)


def _moments(ledger: Ledger, run: str) -> dict[str, str]:
    """Each moment's name and the digest of the files then, in order."""
    from interlock.cli.resolve import run_of
    from interlock.events import CallFinished, RunStarted

    found: dict[str, str] = {}
    for event in ledger.events(run_of(ledger, run)):
        if isinstance(event, RunStarted):
            found[START] = event.workspace
        elif isinstance(event, CallFinished):
            found[event.call_id.rpartition(":")[2]] = event.workspace
    return {**found, END: list(found.values())[-1]} if found else found


def _moment(text: str, moments: dict[str, str], name: str) -> str:
    return among(text.rpartition(":")[2], moments, name)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("diff-workspace")(diff_workspace)
