"""Durations as people write them: `90s`, `30m`, `4h`, `2d`."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

_SECONDS: Final = MappingProxyType({"s": 1, "m": 60, "h": 3600, "d": 86400})
_YEAR: Final = 365 * 86400


def duration(text: str) -> str:
    """Check a duration and return it.

    Raises:
        ValueError: not of this form, or longer than a year.
    """
    if not re.fullmatch(r"[1-9][0-9]{0,8}[smhd]", text, re.ASCII) or seconds(text) > _YEAR:
        raise ValueError(f"{text!r} must be a duration such as '90s', '30m', '4h' or '2d', at most 365 days")
    return text


def seconds(text: str) -> int:
    """`4h` in seconds."""
    return int(text[:-1]) * _SECONDS[text[-1]]
