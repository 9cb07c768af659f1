"""What a call has of time and space."""

from __future__ import annotations

import os
from typing import NamedTuple

LARGEST_INLINE = 12 * 1024
EXIT_CODE = "exit code "
"""How the error of a command begins that ended by itself, and holds what it printed."""
MOST_KEPT = 32 * 1024 * 1024
"""Bytes of one output that are kept whole."""


class Room(NamedTuple):
    """Limits of the call, as the profile has them."""

    output_bytes: int
    """Cap of the returned value."""
    time_s: float
    key: str = ""
    """The call's idempotency key; empty: it has none."""

    @property
    def inline(self) -> int:
        """Bytes of one output that go into the value: two of them fit, also where each byte becomes six."""
        return max(64, min(LARGEST_INLINE, self.output_bytes // 16))


def artifact_path(name: str) -> str:
    """Where a named output of the call goes."""
    folder = os.environ.get("INTERLOCK_ARTIFACTS", "artifacts")
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, name)
