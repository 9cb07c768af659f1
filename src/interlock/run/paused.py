"""What an executor answers a run that is paused: the call waits, and is tried again."""

from __future__ import annotations

from interlock.errors import Unreachable


class Paused(Unreachable):
    """The run is paused; the call waits for its resumption."""
