"""The signals of one run, in the workflow's state: pure, and carried over to a new execution as JSON."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, Field, JsonValue

from interlock.approval import Signals
from interlock.errors import Conflict
from interlock.types.names import Name

MOST_KEPT: Final = 1000
MOST_KEPT_BYTES: Final = 4 * 1024 * 1024
"""What may wait for the workflow to ask for it; beyond that a sender is told to try later."""


class KeptSignal(BaseModel):
    """A signal that nobody has asked for yet."""

    name: Name
    value: JsonValue
    size: int


class Mailbox(BaseModel):
    """The signals of one run. Lives in the workflow's state, and is carried over as JSON."""

    statements: Signals = Field(default_factory=Signals)
    kept: list[KeptSignal] = Field(default_factory=list)
    """In the order of their arrival."""
    coming: int = 0
    """Accepted ones that are not on record yet."""

    def waiting(self, name: str) -> int:
        """How many signals of a name are kept."""
        return sum(one.name == name for one in self.kept)

    def next(self, name: str) -> JsonValue:
        """Take the oldest signal of a name out."""
        place = next(place for place, one in enumerate(self.kept) if one.name == name)
        return self.kept.pop(place).value

    def check_room(self, size: int) -> None:
        """Raises Conflict where as much waits as may."""
        if len(self.kept) + self.coming >= MOST_KEPT or sum(one.size for one in self.kept) + size > MOST_KEPT_BYTES:
            raise Conflict(
                f"{len(self.kept)} signals wait for the workflow to ask for them, more are not kept",
                next_step="try again when it has",
            )
