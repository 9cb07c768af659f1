"""The executor's own record against the chain: reservations, results, and the line of workspaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from interlock.audit.queries import RunRecord
from interlock.audit.rows import Finding
from interlock.events import CallFinished, CallProposed, Event, RunStarted


def check_reservations(record: RunRecord, events: Sequence[Event], findings: list[Finding]) -> None:
    """Every call that the chain says ran was reserved, with the same digest, receipt and workspace."""
    calls = {row["call_id"]: row for row in record.calls}
    proposed: dict[str, str] = {}
    for event in events:
        if isinstance(event, CallProposed):
            proposed[event.call_id] = event.call_digest
        if isinstance(event, CallFinished):
            _check_finished(event, calls.get(event.call_id), findings)
    for call_id, row in calls.items():
        if call_id in proposed and proposed[call_id] != row["call_digest"]:
            message = f"{call_id}: reserved as {row['call_digest']}, the events say {proposed[call_id]}"
            findings.append(Finding(-1, "call", "call_digest", message))


def _check_finished(event: CallFinished, row: Mapping[str, Any] | None, findings: list[Finding]) -> None:
    def add(field: str, message: str) -> None:
        findings.append(Finding(event.seq, event.kind, field, message))

    if row is None:
        add("call_id", f"no executor reserved {event.call_id!r}")
        return
    if row["receipt"] is None:
        add("receipt", f"the ledger has no result of {event.call_id!r}")
    elif row["receipt"] != event.receipt:
        add("receipt", f"it is not the receipt that the executor stored for {event.call_id!r}")
    elif row["workspace_after"] != event.workspace and row["workspace_after"] != row["workspace_before"]:
        add("workspace", f"the executor stored {row['workspace_after']!r} for {event.call_id!r}")


def check_workspaces(record: RunRecord, events: Sequence[Event], findings: list[Finding]) -> None:
    """Each workspace version starts where the one before it ends, and a stored result moved it."""
    calls = {row["call_id"]: row for row in record.calls}
    start = next((event.workspace for event in events if isinstance(event, RunStarted)), None)
    before = start
    for version, row in enumerate(record.workspaces):
        call = calls.get(row["call_id"])
        step = (
            (start, start)
            if version == 0
            else (call["workspace_before"], call["workspace_after"])
            if call
            else None
        )
        if row["version"] != version or step is None or step != (before, row["digest"]):
            message = f"version {row['version']} ({row['digest']!r}) is not borne out by a stored result"
            findings.append(Finding(-1, "workspace", "digest", message))
        before = row["digest"]
    moves = sum(1 for row in record.calls if row["workspace_after"] != row["workspace_before"])
    if events and len(record.workspaces) != moves + 1:
        message = f"{moves} stored results changed the workspace, it has {len(record.workspaces)} versions"
        findings.append(Finding(-1, "workspace", "version", message))
