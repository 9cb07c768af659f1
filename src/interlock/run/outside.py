"""What a call asked for outside, over all its attempts: as they ended where that was seen, else as cut off."""

from __future__ import annotations

from collections.abc import Iterable

from interlock.types.egress import EgressRecord


def of_attempt(requests: Iterable[EgressRecord], attempt: int) -> tuple[EgressRecord, ...]:
    """Requests as a sandbox tells them, with the attempt that it served."""
    return tuple(one.model_copy(update={"attempt": attempt}) for one in requests)


def all_requests(noted: Iterable[EgressRecord], seen: Iterable[EgressRecord]) -> tuple[EgressRecord, ...]:
    """Every request on record, in order.

    Args:
        noted: as each was noted before it left.
        seen: those whose end this executor saw; all others (of earlier attempts, of a cancelled call) were cut off.
    """
    found = {(one.attempt, one.number): _cut_off(one) for one in noted}
    found |= {(one.attempt, one.number): one for one in seen}
    return tuple(found[place] for place in sorted(found))


def _cut_off(record: EgressRecord) -> EgressRecord:
    if record.verdict != "sent":
        return record
    reason = "no answer was on record when the call ended; it may have arrived"
    return record.model_copy(update={"verdict": "failed", "reason": reason})
