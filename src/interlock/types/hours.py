"""Working hours as a decision carries them: with the offsets of their time zone, so that whoever counts them needs
no zone files and two who count them come to the same moment.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final

from pydantic import AwareDatetime, Field

from interlock.types.closed import Closed

_DAY: Final = timedelta(days=1)
_LONGEST: Final = 3_660
"""Days that are looked at before working hours count as never coming."""


class Offset(Closed):
    """What a zone's clocks show from a moment on."""

    since: AwareDatetime
    seconds: Annotated[int, Field(ge=-86_400, le=86_400)]
    """East of UTC."""


class WorkingHours(Closed):
    """When a deadline's clock runs."""

    zone: str
    """The zone's name, for people."""
    days: tuple[Annotated[int, Field(ge=0, le=6)], ...] = Field(min_length=1)
    """Days of the week, Monday 0."""
    opens: int = Field(ge=0, lt=1440)
    """First minute of local time inside."""
    closes: int = Field(gt=0, le=1440)
    """First minute outside."""
    closed_on: tuple[date, ...] = ()
    """Holidays, sorted."""
    offsets: tuple[Offset, ...] = Field(min_length=1)
    """By time; the first one also counts before it, the last one for ever."""

    def after(self, start: datetime, seconds: int) -> datetime:
        """The moment at which `seconds` of working time have passed since `start`, both aware.

        Working time that does not come within ten years ends then: a deadline always comes.
        """
        left, day = timedelta(seconds=seconds), self._local(start).date()
        for _ in range(_LONGEST):
            if day.weekday() in self.days and day not in self.closed_on:
                opens, closes = self._instant(day, self.opens), self._instant(day, self.closes)
                begins = max(opens, start)
                if closes - begins >= left:
                    return (begins + left).astimezone(UTC)
                left -= max(closes - begins, timedelta(0))
            day += _DAY
        return start + _LONGEST * _DAY

    def _local(self, moment: datetime) -> datetime:
        return (moment.astimezone(UTC) + self._offset(moment)).replace(tzinfo=None)

    def _instant(self, day: date, minute: int) -> datetime:
        local = datetime.combine(day, time(), UTC) + timedelta(minutes=minute)
        # The offset is that of the moment which it leads to; one step settles it but in the hour of a change.
        return local - self._offset(local - self._offset(local))

    def _offset(self, moment: datetime) -> timedelta:
        place = bisect_right([one.since for one in self.offsets], moment) - 1
        return timedelta(seconds=self.offsets[max(place, 0)].seconds)
