"""What a run has cost so far, as its events say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from interlock.events import CallFinished, Event, ModelResponded


@dataclass(frozen=True)
class Cost:
    """Sums over a run's events."""

    replies: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    calls: int = 0
    """Calls that ran."""
    cpu_ms: int = 0

    @property
    def tokens(self) -> int:
        """Read and written."""
        return self.tokens_in + self.tokens_out


def cost(events: Iterable[Event]) -> Cost:
    """The cost of a run; tokens of runs to which it handed work on are in."""
    replies = tokens_in = tokens_out = calls = cpu_ms = 0
    for event in events:
        match event:
            case ModelResponded():
                replies += 1
                tokens_in += event.input_tokens
                tokens_out += event.output_tokens
            case CallFinished():
                calls += 1
                cpu_ms += event.usage.cpu_ms
                for read, written in event.child.usage.values() if event.child else ():
                    tokens_in += read
                    tokens_out += written
            case _:
                pass
    return Cost(replies, tokens_in, tokens_out, calls, cpu_ms)
