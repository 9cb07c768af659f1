"""What the steps of a run's workflow have given, so that they are gone through again without being done again.

A run goes on in a new execution of its workflow when the history of the one before is long enough. The team's
`steps` then runs from its beginning; a step that ended gives what it gave, and one that was under way goes on. A
step is known by what it does and with what, and by how often the same was done before it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from interlock import errors
from interlock.digest import digest_of
from interlock.errors import InterlockError, InvalidInput
from interlock.graph import Drained
from interlock.run.joining import stopped
from interlock.types.closed import Closed

_CANCELLED: Final = "cancelled"
"""In place of an error's name: the step's branch was stopped, because another failed."""


class Ended(Closed):
    """How a step ended."""

    value: JsonValue = None
    error: str = ""
    """Name of the engine's error that it raised; empty: it raised none."""
    message: str = ""
    next_step: str = ""

    def given(self) -> JsonValue:
        """The step's value; raises what the step raised."""
        if not self.error:
            return self.value
        if self.error == _CANCELLED:
            raise asyncio.CancelledError
        kind = getattr(errors, self.error, InterlockError)
        raise kind(self.message, next_step=self.next_step)


@dataclass
class Journal:
    """Steps by key."""

    ended: dict[str, Ended] = field(default_factory=dict)
    states: dict[str, JsonValue] = field(default_factory=dict)
    """What steps that are under way need to go on."""
    active: int = 0
    """Steps under way."""
    parked: int = 0
    """Of these, those that stopped because the run drains."""
    _times: Counter[str] = field(default_factory=Counter)

    async def step(self, kind: str, what: JsonValue, do: Callable[[str], Awaitable[JsonValue]]) -> JsonValue:
        """Do a step, or give what it gave; `do` gets the step's key.

        Args:
            kind: what is done: `agent`, `ask`, …
            what: with what: equal for equal steps.
            do: does it; raises Drained where it stopped because the run drains. Then this never returns: the run
                goes on in a new execution.

        Raises:
            InterlockError: what the step raised.
        """
        key = self._key(kind, what)
        if key in self.ended:
            return self.ended[key].given()
        self.active += 1
        try:
            ended = await self._ended(do, key)
        except Drained:
            await self._park()
        except asyncio.CancelledError:
            if stopped():  # it is not begun again when the steps are gone through again
                self.ended[key] = Ended(error=_CANCELLED)
            raise
        finally:
            self.active -= 1
        self.ended[key] = ended
        self.states.pop(key, None)
        return ended.given()

    async def _ended(self, do: Callable[[str], Awaitable[JsonValue]], key: str) -> Ended:
        try:
            return Ended(value=await do(key))
        except InterlockError as error:
            return Ended(error=type(error).__name__, message=error.reason, next_step=error.next_step)

    async def _park(self) -> None:
        """Wait for the end of this execution, which drops what waits; or for being cancelled."""
        self.parked += 1
        try:
            await self._never()
        except asyncio.CancelledError:
            if not stopped():
                raise
            # Its branch was stopped: it ends in the new execution, before what handles the failure runs.
            await self._never()
        finally:
            self.parked -= 1

    async def _never(self) -> None:
        await asyncio.get_running_loop().create_future()

    def _key(self, kind: str, what: JsonValue) -> str:
        try:
            name = digest_of([kind, what])
        except InvalidInput as error:
            raise InvalidInput(f"{kind}: {error}") from error
        self._times[name] += 1
        return f"{kind}-{name.removeprefix('sha256:')[:24]}-{self._times[name]}"

    @property
    def drained(self) -> bool:
        """Whether every step that is under way has stopped."""
        return bool(self.active) and self.active == self.parked
