"""`interlock policy impact`: what a candidate policy would have decided."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.policy.record import OfRuns, Since, moment, runs_of
from interlock.cli.session import bundle_of, opened, settings

if TYPE_CHECKING:
    from interlock.run.grouping import Group
    from interlock.run.impact import Cost, Impact
    from interlock.settings import Settings


def impact(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder like permissions/: the candidate.")],
    runs: OfRuns = None,
    since: Since = "",
    now: Annotated[
        bool, typer.Option("--now", help="Compare with the files in permissions/, not with what was decided.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Decide recorded calls again under a candidate policy: newly allowed first, and what people would have to do.

    Exit 1: something may happen that could not before, or a decision could not be made again.
    """
    own, begin = settings(), moment(since)
    with say.working("deciding again", quiet=as_json):
        found = _found(own, folder, list(runs or ()), begin, now)
    if as_json:
        say.document({"safe": found.safe, **found.model_dump(mode="json")})
    else:
        tell(found)
    if not found.safe:
        raise typer.Exit(1)


def _found(own: Settings, folder: Path, names: list[str], since: datetime | None, now: bool) -> Impact:
    from interlock.policy import load_bundle
    from interlock.run.impact import impact
    from interlock.run.rehearsal import Bundles, recorded
    from interlock.run.renewal import Renewal

    candidate = load_bundle(folder)
    with opened(own) as (ledger, blobs):
        records = recorded(ledger, blobs, runs=runs_of(ledger, names), since=since)
        present = bundle_of(own) if now else None
        return impact(candidate, records, Bundles(blobs), answer=Renewal(ledger, blobs), instead_of=present)


def tell_groups(groups: tuple[Group, ...]) -> None:
    """Print differences: one line a group, an example beneath each."""
    for group in groups:
        say.line(f"{group.kind} {group.count}: {_change(group)}", style="bold red" if group.widened else "")
        example = group.example
        say.line(
            f"    {example.tool} by {example.agent} for {example.requester}: "
            f"interlock policy explain {example.run} {example.call}"
        )


def tell(found: Impact) -> None:
    """Print an impact: differences, what could not be decided, and what it costs people."""
    tell_groups(found.groups)
    for one in found.undecided_first:
        say.line(f"cannot be decided again: {one.run} {one.call}: {one.problem}", style="red")
    if found.unknown_terms:
        say.line(f"{found.unknown_terms} only by verdict: the policy that decided them cannot be read here")
    say.line(
        f"{found.decisions} decided again: {found.changed} change, {found.widened} of them widen"
        + (f"; {found.undecided} cannot be" if found.undecided else ""),
        style="bold",
    )
    say.line(f"people: {_cost(found.before, found.after)}")


def _change(group: Group) -> str:
    if group.details:
        return f"{group.after.words}: {'; '.join(group.details)}"
    return f"{group.after.words}; before: {group.before.words}"


def _cost(before: Cost, after: Cost) -> str:
    more = after.approvals - before.approvals
    change = f"{more} more" if more > 0 else f"{-more} fewer" if more else "as many"
    was = f"before {before.approvals} for {before.asks}"
    return f"{change} approvals ({after.approvals} for {after.asks} calls, {was})"
