"""When a schedule starts its runs: as people type it, and which moments that names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from interlock.errors import InvalidInput
from interlock.run.timing_text import timing
from interlock.types.timing import Timing


def when(zone: str = "UTC", **said: Any) -> Timing:
    return timing(**{"cron": [], "every": [], "calendar": [], "zone": zone, **said})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "included", "left_out"),
    [
        ("30 9 * * *", "2026-03-04T09:30:00", "2026-03-04T09:31:00"),
        ("30 9 * * *", "2026-03-05T09:30:00", "2026-03-04T09:30:01"),
        ("*/15 * * * *", "2026-03-04T00:45:00", "2026-03-04T00:50:00"),
        ("5-20/5 * * * *", "2026-03-04T00:20:00", "2026-03-04T00:25:00"),
        ("10/20 * * * *", "2026-03-04T00:50:00", "2026-03-04T00:20:00"),
        ("0 8,18 * * *", "2026-03-04T18:00:00", "2026-03-04T12:00:00"),
        ("0 9 * * mon-fri", "2026-03-06T09:00:00", "2026-03-07T09:00:00"),
        ("0 9 * * 0", "2026-03-08T09:00:00", "2026-03-09T09:00:00"),
        ("0 9 * * 7", "2026-03-08T09:00:00", "2026-03-09T09:00:00"),
        ("0 9 * * 5-7", "2026-03-08T09:00:00", "2026-03-09T09:00:00"),
        ("0 0 1 jan *", "2027-01-01T00:00:00", "2026-02-01T00:00:00"),
        ("@daily", "2026-03-04T00:00:00", "2026-03-04T01:00:00"),
    ],
)
def test_cron_line_names_these_moments(cron: str, included: str, left_out: str) -> None:
    found = when(cron=[cron])
    assert found.includes(at(included))
    assert not found.includes(at(left_out))


def test_weekday_star_is_every_day() -> None:
    found = when(cron=["0 9 * * *"])
    assert all(found.includes(at("2026-03-01T09:00:00") + timedelta(days=day)) for day in range(7))


def test_calendar_names_seconds_and_years() -> None:
    found = when(calendar=["hour=9-10 minute=0,30 second=15 year=2026 weekday=wed"])
    assert found.includes(at("2026-03-04T10:30:15"))
    assert not found.includes(at("2026-03-04T10:30:00"))
    assert not found.includes(at("2027-03-03T10:30:15"))


def test_interval_counts_from_the_epoch() -> None:
    found = when(every=["1h/15m"])
    assert found.includes(at("2026-03-04T07:15:00"))
    assert not found.includes(at("2026-03-04T07:00:00"))


def test_zone_moves_with_summer_time() -> None:
    found = when(cron=["0 9 * * *"], zone="Europe/Berlin")
    assert found.includes(at("2026-01-15T08:00:00"))
    assert found.includes(at("2026-07-15T07:00:00"))
    assert not found.includes(at("2026-07-15T08:00:00"))


def test_several_are_united() -> None:
    found = when(cron=["0 9 * * *", "0 18 * * *"], every=["7h"])
    assert found.includes(at("2026-03-04T18:00:00"))
    assert found.includes(datetime.fromtimestamp(7 * 3600 * 1000, UTC))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({}, "names no moment"),
        ({"cron": ["0 9 * *"]}, "has 4 fields"),
        ({"cron": ["61 * * * *"]}, "minute: '61' is not from 0 to 59"),
        ({"cron": ["0 9 * * funday"]}, "weekday: 'funday'"),
        ({"cron": ["20-10 * * * *"]}, "ends before it begins"),
        ({"cron": ["*/0 * * * *"]}, "minute: '\\*/0'"),
        ({"cron": ["0 9 1 * mon"]}, "both day and weekday"),
        ({"cron": ["; rm * * * *"]}, "has 6 fields"),
        ({"calendar": ["hour=9 hour=10"]}, "'hour' is given twice"),
        ({"calendar": ["hours=9"]}, "'hours' is given twice or is none of"),
        ({"calendar": ["hour="]}, "hour: '' is neither"),
        ({"every": ["0s"]}, "must be a duration"),
        ({"every": ["1h/2h"]}, "no part of an interval"),
        ({"cron": ["@daily"], "zone": "Europe/Berlim"}, "did you mean 'Europe/Berlin'"),
    ],
)
def test_what_names_no_moment_is_refused(said: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        when(**said)
