"""The read models: `runs` and `approvals` say what the events say. Nobody else's word counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from interlock.audit.codec import approval_columns, run_columns
from interlock.audit.projection import Projection
from interlock.audit.queries import RunRecord
from interlock.audit.rows import Finding
from interlock.errors import IntegrityError
from interlock.events import ApprovalDecided, Event


def check_read_models(record: RunRecord, events: Sequence[Event], findings: list[Finding]) -> None:
    """Compute the read models again and compare each column."""
    projection = Projection()
    for event in events:
        _check_decision(projection, event, findings)
        try:
            projection.apply(event)
        except IntegrityError as error:
            findings.append(Finding(event.seq, event.kind, "kind", error.reason))
    computed = run_columns(projection.run) if projection.run else None
    _compare("run", "", computed, record.run, findings)
    stored = {row["request_id"]: row for row in record.approvals}
    for request_id in sorted(stored.keys() | projection.approvals.keys()):
        row = projection.approvals.get(request_id)
        columns = approval_columns(row) if row else None
        _compare("approval", request_id, columns, stored.get(request_id), findings)


def _check_decision(projection: Projection, event: Event, findings: list[Finding]) -> None:
    if not isinstance(event, ApprovalDecided):
        return
    row = projection.approvals.get(event.request_id)
    if row and row.state not in ("pending", "withdrawn"):
        message = f"{event.request_id!r} was {row.state} before this decision"
        findings.append(Finding(event.seq, event.kind, "request_id", message))


def _compare(
    kind: Literal["run", "approval"],
    name: str,
    computed: Mapping[str, Any] | None,
    stored: Mapping[str, Any] | None,
    findings: list[Finding],
) -> None:
    label = f"{name}: " if name else ""
    if computed is None or stored is None:
        if computed is not stored:
            message = "no event bears it out" if computed is None else "the events tell of it, its row is absent"
            findings.append(Finding(-1, kind, kind, f"{label}{message}"))
        return
    for field, value in computed.items():
        if stored[field] != value:
            message = f"{label}altered: the row says {stored[field]!r}, the events say {value!r}"
            findings.append(Finding(-1, kind, field, message))
