"""What one agent has used of its limits in a run. Pure."""

from __future__ import annotations

from interlock.types.closed import Closed


class Spent(Closed, frozen=False):
    """Model replies and tokens."""

    steps: int = 0
    tokens: int = 0
    """Read and written; those of runs to which it handed work on, too."""

    def replied(self, tokens: int) -> None:
        """Count a model's reply."""
        self.steps += 1
        self.tokens += tokens
