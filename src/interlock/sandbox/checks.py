"""One line of `doctor`: a control, and the fact that was observed."""

from __future__ import annotations

from interlock.types.closed import Closed


class Check(Closed):
    """Whether one thing is as it must be."""

    name: str
    ok: bool
    observed: str
    """The fact, as seen."""
    fix: str = ""
    """The command or edit that mends it; empty when ok."""
