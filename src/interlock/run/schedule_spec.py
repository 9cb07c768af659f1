"""A schedule in Temporal's words: when, what to do while a run of it goes on, what is made up for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from pydantic import Field
from temporalio.client import (
    ScheduleCalendarSpec,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
)

from interlock.approval import ScheduleClaims
from interlock.types.closed import Closed
from interlock.types.timing import Calendar, Spans, Timing

Overlap = Literal["skip", "buffer_one", "buffer_all", "cancel", "allow"]
"""What becomes of a run whose moment comes while the one before goes on. skip: it is left out. buffer_one: it waits
for that one's end, any others are left out. buffer_all: the others wait as well. cancel: that one is cancelled
first. allow: both run."""

_OVERLAPS: Final[dict[Overlap, ScheduleOverlapPolicy]] = {
    "skip": ScheduleOverlapPolicy.SKIP,
    "buffer_one": ScheduleOverlapPolicy.BUFFER_ONE,
    "buffer_all": ScheduleOverlapPolicy.BUFFER_ALL,
    "cancel": ScheduleOverlapPolicy.CANCEL_OTHER,
    "allow": ScheduleOverlapPolicy.ALLOW_ALL,
}


class Manner(Closed):
    """How a schedule goes about its runs; nothing of it gives authority, so nobody signs it."""

    overlap: Overlap = "skip"
    jitter_s: int = Field(default=0, ge=0, le=24 * 3600)
    """A run starts up to so much after its moment."""
    catch_up_s: int = Field(default=3600, ge=10, le=30 * 24 * 3600)
    """A run whose moment passed while Temporal was down still starts so much later."""

    def policy(self) -> SchedulePolicy:
        """What Temporal is told."""
        return SchedulePolicy(
            overlap=overlap_policy(self.overlap), catchup_window=timedelta(seconds=self.catch_up_s)
        )

    @classmethod
    def of(cls, policy: SchedulePolicy, spec: ScheduleSpec) -> Manner:
        """What Temporal holds."""
        overlap = next((name for name, value in _OVERLAPS.items() if value == policy.overlap), "skip")
        window, jitter = policy.catchup_window or timedelta(seconds=3600), spec.jitter or timedelta(0)
        return cls(
            overlap=overlap, jitter_s=int(jitter.total_seconds()), catch_up_s=max(10, int(window.total_seconds()))
        )


def overlap_policy(overlap: Overlap) -> ScheduleOverlapPolicy:
    """Temporal's own name for it."""
    return _OVERLAPS[overlap]


def spec_of(claims: ScheduleClaims, manner: Manner) -> ScheduleSpec:
    """When Temporal starts the runs: at the moments that were signed, and no others."""
    timing: Timing = claims.timing
    return ScheduleSpec(
        calendars=[_calendar(one) for one in timing.calendars],
        intervals=[
            ScheduleIntervalSpec(
                every=timedelta(seconds=one.every_s), offset=timedelta(seconds=one.offset_s) or None
            )
            for one in timing.intervals
        ],
        start_at=datetime.fromtimestamp(claims.iat, UTC),
        end_at=datetime.fromtimestamp(claims.exp - 1, UTC),
        jitter=timedelta(seconds=manner.jitter_s) or None,
        time_zone_name=timing.zone,
    )


def _calendar(calendar: Calendar) -> ScheduleCalendarSpec:
    return ScheduleCalendarSpec(
        second=_ranges(calendar.second),
        minute=_ranges(calendar.minute),
        hour=_ranges(calendar.hour),
        day_of_month=_ranges(calendar.day),
        month=_ranges(calendar.month),
        day_of_week=_ranges(calendar.weekday),
        year=_ranges(calendar.year),
    )


def _ranges(spans: Spans) -> tuple[ScheduleRange, ...]:
    return tuple(ScheduleRange(span.first, span.last, span.step) for span in spans)
