"""One mistake in a file that a person wrote, with the place to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, with the place to mend it."""

    source: str
    """`file:line`."""
    message: str
    code: str = "bad-file"
    """What kind of mistake it is, for programs: `unknown-key`, `unknown-name`, …"""

    def __str__(self) -> str:
        return f"{self.source}: {self.message}"

    @property
    def order(self) -> tuple[str, int, str]:
        """Sorts by file, then by line as a number."""
        return *self.place, self.message

    @property
    def place(self) -> tuple[str, int]:
        """File and line; the line is 0 where none is known."""
        file, _, line = self.source.rpartition(":")
        return (file, int(line)) if line.isdecimal() else (self.source, 0)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the known name that is closest to `name`, or nothing."""
    names = sorted(set(known))
    folded = {known_name.lower(): known_name for known_name in names}
    found = difflib.get_close_matches(str(name).lower(), list(folded), n=1, cutoff=0.6)
    return f" (did you mean {folded[found[0]]!r}?)" if found else ""
