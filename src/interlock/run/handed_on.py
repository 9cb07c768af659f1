"""Hand-offs of a run that its workflow waits for, in this execution of it.

Nothing of this is carried over: the executor says again what the other run is, and Temporal that it was started.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any


@dataclass
class HandOffUnderWay:
    """A hand-off that is waited for, in this execution of the workflow."""

    child: str
    handle: asyncio.Future[Any] | None = None
    """The other run, where this execution started it."""
    woken: bool = False
    """Whether something says that the other run has ended."""
    unwanted: bool = False
    """Whether nobody waits for its work any more."""
    looks: int = 0

    @property
    def gone(self) -> bool:
        """Whether its workflow is over, whatever it left."""
        return self.handle is not None and self.handle.done()


@dataclass
class HandOffs:
    """A run's hand-offs, by the run that does the work."""

    under_way: dict[str, HandOffUnderWay] = field(default_factory=dict)
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One is asked about at a time, so that the files which they leave are recorded in the order of their ends."""

    def woke(self, child: str) -> None:
        """Somebody says that a run has ended."""
        if child in self.under_way:
            self.under_way[child].woken = True
