"""What is written as text in permissions/ and means something else: a day."""

from __future__ import annotations

import re
from datetime import date


def day(text: object) -> object:
    """Check that something is written as a day, `2027-01-31`.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(text, date) and not (
        isinstance(text, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII)
    ):
        raise ValueError(f"{text!r} must be a day such as 2027-01-31")
    return text
