"""What the set-up says: one line a step, and what is missing with the command that mends it."""

from __future__ import annotations

import sys
from collections.abc import Sequence


class Missing(Exception):
    """Something is not there and the set-up cannot bring it.

    Attributes:
        reason: what is missing, and why the set-up cannot mend it itself.
        mend: commands or edits for the person, one a line.
    """

    def __init__(self, reason: str, *mend: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.mend: Sequence[str] = mend


def say(what: str) -> None:
    """Tell what is being done now."""
    print(f"set-up: {what}", file=sys.stderr, flush=True)


def complain(missing: Missing) -> None:
    """Tell what is missing and how to mend it."""
    print(f"set-up: {missing.reason}", file=sys.stderr)
    for index, line in enumerate(missing.mend):
        print(f"  {'mend it:' if index == 0 else '     or:'} {line}", file=sys.stderr)
