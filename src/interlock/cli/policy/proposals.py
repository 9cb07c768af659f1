"""`interlock policy proposals` and `review`: what agents asked permission for, and the rule that it comes to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.policy.record import OfRuns, Since, moment, runs_of
from interlock.cli.session import bundle_of, opened, settings
from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from datetime import datetime

    from interlock.run.impact import Impact
    from interlock.run.proposals import Proposal
    from interlock.run.review import Review
    from interlock.settings import Settings

_CALLS = 3


def proposals(
    every: Annotated[bool, typer.Option("--all", help="Granted and empty ones too.")] = False,
    runs: OfRuns = None,
    since: Since = "",
    as_json: AsJson = False,
) -> None:
    """What agents asked permission for with `request_permission`, and whether the policy still denies it."""
    found = _found(settings(), list(runs or ()), moment(since))
    shown = [one for one in found if every or one.state == "open"]
    if as_json:
        say.document({"proposals": [one.model_dump(mode="json") for one in shown]})
        return
    for one in shown:
        say.line(f"{one.call}  {one.agent} for {one.requester} wants {one.tool}: {one.reason}  ({one.state})")
    say.line(f"{len(shown)} shown, {len(found)} in all", style="bold")


def review(
    call: Annotated[
        str, typer.Argument(metavar="CALL", help="As `proposals` lists it, the end of it (`c4`), or `last`.")
    ],
    ask: Annotated[str, typer.Option(metavar="ROUTE", help="Have people of this route asked each time.")] = "",
    owner: Annotated[str, typer.Option(help="The team that will answer for the rule.")] = "",
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the rule goes; permissions/grants.yaml if left out.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Write it into the file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the narrowest rule that would permit what was asked for: as a diff, with what it would change on record.

    Nothing is written without --apply. Exit 1: the calls would stay denied.
    """
    own = settings()
    if apply and not owner:
        raise InvalidInput("--apply needs --owner: somebody must answer for the rule")
    proposal = _one(_found(own, [], None), call)
    found, change = _reviewed(own, proposal, file or own.root / "permissions" / "grants.yaml", ask, owner)
    if apply and not found.still_denied:
        found.apply()
    if as_json:
        _document(proposal, found, change, applied=apply and not found.still_denied)
    else:
        _tell(proposal, found, change, applied=apply and not found.still_denied)
    if found.still_denied:
        raise typer.Exit(1)


def _found(own: Settings, names: list[str], since: datetime | None) -> list[Proposal]:
    from interlock.run.proposals import proposals
    from interlock.run.rehearsal import recorded
    from interlock.run.renewal import Renewal

    bundle = bundle_of(own)
    with opened(own) as (ledger, blobs):
        records = recorded(ledger, blobs, runs=runs_of(ledger, names), since=since)
        return list(proposals(records, bundle, Renewal(ledger, blobs)))


def _one(found: list[Proposal], call: str) -> Proposal:
    from interlock.cli.choices import among

    by_call = {one.call: one for one in found}
    ending = [name for name in by_call if name.endswith(f":{call}")]
    if call == "last" and found:
        return found[-1]
    return by_call[ending[0] if len(ending) == 1 else among(call, by_call, "CALL")]


def _reviewed(own: Settings, proposal: Proposal, file: Path, ask: str, owner: str) -> tuple[Review, Impact]:
    from interlock.run.rehearsal import Bundles, recorded
    from interlock.run.renewal import Renewal
    from interlock.run.review import consequences, review

    folder = own.root / "permissions"
    found = review(proposal, folder, file, effect="ask" if ask else "allow", route=ask, owner=owner)
    with opened(own) as (ledger, blobs):
        records = recorded(ledger, blobs)
        return found, consequences(found, records, Bundles(blobs), Renewal(ledger, blobs))


def _document(proposal: Proposal, found: Review, change: Impact, *, applied: bool) -> None:
    say.document(
        {
            "proposal": proposal.model_dump(mode="json"),
            "diff": found.diff,
            "remarks": found.suggestion.remarks,
            "still_denied": found.still_denied,
            "impact": change.model_dump(mode="json"),
            "applied": applied,
        }
    )


def _tell(proposal: Proposal, found: Review, change: Impact, *, applied: bool) -> None:
    from interlock.cli.policy.impact import tell

    say.line(f"{proposal.agent} for {proposal.requester} wants {proposal.tool}", style="bold")
    say.line(f"it says: {proposal.reason}")
    for request in proposal.denied[:_CALLS]:
        say.line(f"denied: {request.tool} on {request.resource}")
    if len(proposal.denied) > _CALLS:
        say.line(f"denied: {len(proposal.denied) - _CALLS} more")
    say.line("")
    say.line(found.diff.rstrip("\n"))
    say.line("")
    for reason in found.still_denied:
        say.line(f"would stay denied: {reason}", style="bold red")
    tell(change)
    say.line("written" if applied else "nothing was written; --apply writes it", style="bold")
