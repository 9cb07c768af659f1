"""How a delivery can fail, and when it is tried again."""

from __future__ import annotations

from datetime import timedelta
from random import SystemRandom
from typing import Final

from interlock.errors import InterlockError

TIMEOUT_S: Final = 15.0
"""The longest that one attempt takes, from the look-up of a name to the end of the answer."""
ATTEMPTS: Final = 10
"""After so many a notification is dead: with these pauses that is most of a day."""
_FIRST_S: Final = 5.0
_GROWTH: Final = 4.0
_LONGEST_S: Final = 6 * 3600.0
_JITTER: Final = (0.8, 1.2)
_random: Final = SystemRandom()


class DeliveryFailed(InterlockError):
    """A channel did not take it.

    Attributes:
        final: whether trying again is of no use.
        after_s: how long the receiver asks to be left alone, in seconds.
    """

    exit_code = 3

    def __init__(self, reason: str, *, final: bool = False, after_s: float = 0.0, next_step: str = "") -> None:
        super().__init__(reason, next_step=next_step)
        self.final = final
        self.after_s = after_s


def pause(attempts: int, after_s: float = 0.0) -> timedelta:
    """How long to wait after so many failed attempts: 5 s, 20 s, 80 s, … up to 6 h, each a fifth more or less."""
    wanted: float = min(_LONGEST_S, _FIRST_S * _GROWTH ** (attempts - 1)) * _random.uniform(*_JITTER)
    return timedelta(seconds=max(wanted, min(after_s, _LONGEST_S)))
