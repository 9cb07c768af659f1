"""When a schedule starts its runs, as data: spans of calendar fields in a time zone, and fixed intervals.

It is part of what a person signs, so that no run of a schedule starts at a moment that they did not name.
"""

from __future__ import annotations

from datetime import datetime
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from interlock.types.closed import Closed


class Span(Closed):
    """Some values of a calendar field: from `first` to `last`, every `step`."""

    first: int = Field(ge=0, le=9999)
    last: int = Field(ge=0, le=9999)
    step: int = Field(default=1, ge=1, le=9999)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"{self.first}-{self.last} ends before it begins")
        return self

    def has(self, value: int) -> bool:
        """Whether it has this value."""
        return self.first <= value <= self.last and (value - self.first) % self.step == 0


Spans = tuple[Span, ...]


class Calendar(Closed):
    """Moments whose every field has one of its values, in the schedule's time zone."""

    second: Spans = (Span(first=0, last=0),)
    minute: Spans = (Span(first=0, last=0),)
    hour: Spans = (Span(first=0, last=0),)
    day: Spans = (Span(first=1, last=31),)
    """Of the month, from 1."""
    month: Spans = (Span(first=1, last=12),)
    weekday: Spans = (Span(first=0, last=6),)
    """From Sunday, which is 0."""
    year: Spans = ()
    """Empty: every year."""

    def includes(self, moment: datetime) -> bool:
        """Whether it names this moment, given in its time zone."""
        fields = (
            (self.second, moment.second),
            (self.minute, moment.minute),
            (self.hour, moment.hour),
            (self.day, moment.day),
            (self.month, moment.month),
            (self.weekday, moment.isoweekday() % 7),
        )
        if self.year and not any(span.has(moment.year) for span in self.year):
            return False
        return all(any(span.has(value) for span in spans) for spans, value in fields)


class Interval(Closed):
    """Moments so many seconds apart, counted from 1970-01-01 UTC."""

    every_s: int = Field(ge=1, le=366 * 24 * 3600)
    offset_s: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _offset_is_inside(self) -> Self:
        if self.offset_s >= self.every_s:
            raise ValueError(f"an offset of {self.offset_s} s is no part of an interval of {self.every_s} s")
        return self

    def includes(self, moment: datetime) -> bool:
        """Whether it names this moment."""
        return (int(moment.timestamp()) - self.offset_s) % self.every_s == 0


class Timing(Closed):
    """All moments at which a schedule starts a run."""

    calendars: tuple[Calendar, ...] = ()
    intervals: tuple[Interval, ...] = ()
    zone: str = "UTC"
    """IANA name of the time zone of `calendars`."""

    @model_validator(mode="after")
    def _names_a_moment(self) -> Self:
        if not self.calendars and not self.intervals:
            raise ValueError("it names no moment")
        return self

    def includes(self, moment: datetime) -> bool:
        """Whether it names this moment (aware), to the second."""
        if any(interval.includes(moment) for interval in self.intervals):
            return True
        local = moment.astimezone(ZoneInfo(self.zone))
        return any(calendar.includes(local) for calendar in self.calendars)
