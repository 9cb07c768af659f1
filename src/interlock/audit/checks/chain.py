"""The chain: every stored event is canonical, hashes to what it says, and follows the one before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from interlock.audit.append import body
from interlock.audit.rows import Finding
from interlock.errors import InvalidInput
from interlock.events import EVENT, GENESIS, Event, RunEnded, RunErased, RunStarted


def check_events(run: str, rows: Sequence[Mapping[str, Any]], findings: list[Finding]) -> tuple[list[Event], bool]:
    """Read and check the stored events of a run.

    Returns:
        The events that could be read, and whether that is all of them.
    """
    events: list[Event] = []
    seq, prev = 0, GENESIS
    for row in rows:
        event = _read(row, findings)
        if row["seq"] != seq:
            _add(findings, row, "seq", f"expected event {seq} here: events are missing or were moved")
        if event is None:
            prev = row["hash"]
        else:
            _check_envelope(run, row, event, prev, findings)
            events.append(event)
            prev = event.hash
        seq = row["seq"] + 1
    _check_ends(events, findings)
    return events, len(events) == len(rows)


def _read(row: Mapping[str, Any], findings: list[Finding]) -> Event | None:
    stored = bytes(row["body"])
    try:
        event = EVENT.validate_json(stored)
    except ValidationError as error:
        first = error.errors()[0]
        # The first place is the event's kind; the field comes after it.
        field = str(first["loc"][1]) if len(first["loc"]) > 1 else "body"
        _add(findings, row, field, f"altered: the stored bytes are not an event: {first['msg']}")
        return None
    try:
        if body(event) != stored:
            _add(findings, row, "body", "altered: the stored bytes are not the event's canonical bytes")
    except InvalidInput as error:
        _add(findings, row, "body", f"altered: {error.reason}")
        return None
    return event


def _check_envelope(run: str, row: Mapping[str, Any], event: Event, prev: str, findings: list[Finding]) -> None:
    if event.hash != event.computed_hash():
        _add(findings, row, "hash", "altered: its fields do not hash to its hash")
    for field in ("seq", "kind", "hash"):
        if getattr(event, field) != row[field]:
            _add(
                findings,
                row,
                field,
                f"altered: the column says {row[field]!r}, the event {getattr(event, field)!r}",
            )
    if event.run != run:
        _add(findings, row, "run", f"altered: it names run {event.run!r}")
    if event.prev != prev:
        _add(findings, row, "prev", "it does not follow the event before it: one of the two was altered or moved")


def _check_ends(events: Sequence[Event], findings: list[Finding]) -> None:
    for place, event in enumerate(events):
        if isinstance(event, RunErased) and not (place and isinstance(events[place - 1], RunEnded)):
            findings.append(Finding(event.seq, event.kind, "kind", "a run is erased after its end, and only once"))
        if isinstance(event, RunStarted) != (event.seq == 0):
            findings.append(Finding(event.seq, event.kind, "kind", "run.started is the first event, and only that"))
        if not isinstance(event, RunEnded):
            continue
        # Only the run's erasure may come after its end.
        following = events[place + 1 :]
        held = len(events) - (len(following) == 1 and isinstance(following[0], RunErased))
        if event.count != event.seq + 1 or event.count != held:
            message = f"it says {event.count} events, the ledger has {held}: events were added or dropped"
            findings.append(Finding(event.seq, event.kind, "count", message))
        if place != held - 1:
            findings.append(Finding(event.seq, event.kind, "kind", "events follow the end of the run"))


def _add(findings: list[Finding], row: Mapping[str, Any], field: str, message: str) -> None:
    findings.append(Finding(row["seq"], row["kind"], field, message))
