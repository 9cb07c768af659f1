"""Where one agent's run stands, inside the workflow."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from interlock.graph.gate import Gate
from interlock.graph.record import Recorded


@dataclass
class Progress:
    """Kept beside the graph's state, for the driver."""

    agent: str
    gate: Gate
    head: str = ""
    """Transcript head after the newest reply."""
    steps: int = 0
    """How many times a model answered."""
    failures: list[tuple[str, Exception]] = field(default_factory=list)
    """Place of the node in the graph's run, and what it raised."""

    async def report(self, replies: Sequence[Recorded]) -> None:
        """Tell the gate what models answered.

        Raises:
            Refused: a budget is spent.
        """
        for recorded in replies:
            self.head, self.steps = recorded.reply.head, self.steps + 1
            await self.gate.responded(self.agent, recorded.before, recorded.reply)

    @property
    def failure(self) -> Exception | None:
        """The first failure, in the order of places, which is the same at every replay."""
        return min(self.failures, key=lambda item: item[0])[1] if self.failures else None


PROGRESS: Final[ContextVar[Progress]] = ContextVar("interlock_progress")
