"""Standing grants against the chain: what was given, and each use that a call made of one."""

from __future__ import annotations

from collections.abc import Sequence

from interlock.audit.queries import RunRecord
from interlock.audit.rows import Finding
from interlock.events import Event, GrantMade, GrantUsed


def check_grants(record: RunRecord, events: Sequence[Event], findings: list[Finding]) -> None:
    """Every grant and every use in the chain has its row, and no row is there without its event: a use that no
    event tells of would have let a call run that nobody was asked about."""
    given = {row["grant_id"]: row for row in record.grants}
    used = {row["call_id"]: row for row in record.grant_uses}
    for event in events:
        if isinstance(event, GrantMade):
            row = given.pop(event.grant, None)
            if row is None or row["token"] != event.token:
                message = f"the ledger's grant {event.grant!r} is absent or another"
                findings.append(Finding(event.seq, event.kind, "grant", message))
        if isinstance(event, GrantUsed):
            row = used.pop(event.call_id, None)
            if row is None or (row["grant_id"], row["number"]) != (event.grant, event.number):
                message = f"use {event.number} of grant {event.grant!r} is not counted for {event.call_id!r}"
                findings.append(Finding(event.seq, event.kind, "number", message))
    for grant in given:
        findings.append(Finding(-1, "grant", "grant_id", f"no event of this run gives grant {grant!r}"))
    _check_uncounted(record, events, set(used), findings)


def _check_uncounted(record: RunRecord, events: Sequence[Event], calls: set[str], findings: list[Finding]) -> None:
    """Uses without an event: honest where the run has not recorded it yet, so only where its call was reserved."""
    reserved = {row["call_id"] for row in record.calls}
    for call_id in sorted(calls & reserved):
        message = f"call {call_id!r} used a grant, and no event tells of it"
        findings.append(Finding(-1, "grant", "call_id", message))
