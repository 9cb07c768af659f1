"""What people are told of: recorded decisions whose deciding rule names them under `notify`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from interlock.run.rehearsal import Bundles, Recorded, Unreadable
from interlock.types.access import Verdict
from interlock.types.closed import Closed


class Notice(Closed):
    """One decision that people are told of."""

    time: datetime
    run: str
    call: str
    agent: str
    requester: str
    tool: str
    verdict: Verdict
    rule: str
    note: str
    """The rule's own."""
    told: tuple[str, ...]
    """Every `user:` who is told."""


def notices(records: Iterable[Recorded | Unreadable], bundles: Bundles, *, person: str = "") -> Iterator[Notice]:
    """Every notice among recorded decisions, in their order; only those of `person`, if one is named.

    A decision is looked up under the policy that made it: a rule that changed since told whom it named then.
    """
    for record in records:
        if isinstance(record, Unreadable) or not record.event.rule:
            continue
        bundle = bundles.get(record.event.bundle)
        found = bundle.rule(record.event.rule) if bundle else None
        if bundle is None or found is None or not found.rule.notify:
            continue
        told = bundle.people.users(found.rule.notify)
        if not person or person in told:
            yield _notice(record, found.rule.note, told)


def _notice(record: Recorded, note: str, told: tuple[str, ...]) -> Notice:
    event, request = record.event, record.request
    return Notice(
        time=event.time,
        run=event.run,
        call=event.call_id,
        agent=request.agent,
        requester=request.requester,
        tool=request.tool,
        verdict=event.verdict,
        rule=event.rule,
        note=note,
        told=told,
    )
