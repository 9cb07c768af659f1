"""`interlock policy notices`: decisions that people are told of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.cli import say
from interlock.cli.options import AsJson, AsUser
from interlock.cli.policy.record import OfRuns, Since, moment, runs_of
from interlock.cli.session import bundle_of, opened, settings

if TYPE_CHECKING:
    from interlock.run.notices import Notice


def notices(as_user: AsUser = "", runs: OfRuns = None, since: Since = "", as_json: AsJson = False) -> None:
    """Decisions by rules that name people under `notify`: yours with --as, else everybody's."""
    found = _found(as_user, list(runs or ()), since)
    if as_json:
        say.document({"notices": [one.model_dump(mode="json") for one in found]})
        return
    for one in found:
        when, note = one.time.isoformat(timespec="seconds"), f" ({one.note})" if one.note else ""
        say.line(f"{when}  {one.verdict} {one.tool} by {one.agent} for {one.requester}, rule {one.rule}{note}")
        say.line(f"    {one.call}, told: {', '.join(one.told)}")
    say.line(f"{len(found)} notices", style="bold")


def _found(user: str, names: list[str], since: str) -> list[Notice]:
    from interlock.cli.resolve import person_of
    from interlock.run.notices import notices
    from interlock.run.rehearsal import Bundles, recorded

    own = settings()
    person = person_of(bundle_of(own), own.tenant, user) if user else ""
    with opened(own) as (ledger, blobs):
        records = recorded(ledger, blobs, runs=runs_of(ledger, names), since=moment(since))
        return list(notices(records, Bundles(blobs), person=person))
