"""`interlock policy mutate`: which mistakes in the policy its cases would not notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.policy.check import Folder, folder_of
from interlock.cli.policy.tools import known_tools
from interlock.cli.session import settings

if TYPE_CHECKING:
    from interlock.policy import MutationReport


def mutate(
    folder: Folder = None,
    least: Annotated[
        float, typer.Option("--min", metavar="PERCENT", min=0, max=100, help="Mistakes that must fail a case.")
    ] = 95,
    as_json: AsJson = False,
) -> None:
    """Make one mistake at a time in the policy, in memory, and see whether a case fails.

    Mistakes: a rule dropped, its effect turned round, one of its conditions, obligations or limits gone, or widened
    to any tenant, agent, person, tool, action or resource. One that no case notices is shown with a case that
    would; paste it into permissions/cases/ and give it a name that says why. One for which no request was found
    that tells it apart counts in neither number. Exit 1: fewer than --min are noticed.
    """
    from interlock.policy import load_bundle, mutate, read_cases

    own = settings()
    place = folder_of(own, folder)
    with say.working("making mistakes", quiet=as_json):
        bundle, cases = load_bundle(place), read_cases(place / "cases")
        report = mutate(bundle, cases, tools=known_tools(own))
    if as_json:
        say.document({"ok": report.percent >= least, "percent": round(report.percent, 2), **report.model_dump()})
    else:
        _tell(report)
    if report.percent < least:
        raise typer.Exit(1)


def _tell(report: MutationReport) -> None:
    for survivor in report.survivors:
        say.line(f"{survivor}: no case fails; this one would:", style="red")
        say.line(survivor.case.rstrip("\n"))
    for one in report.alike:
        say.line(f"{one}: no request found that tells it apart")
    told_apart = report.killed + len(report.survivors)
    say.line(
        f"{report.killed} of {told_apart} mistakes fail a case ({report.percent:.1f} %); {len(report.alike)} more "
        "cannot be told apart by any request that was found",
        style="bold",
    )
