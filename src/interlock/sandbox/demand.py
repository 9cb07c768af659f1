"""How many containers should wait, from how often they were taken."""

from __future__ import annotations

import math

MEMORY_S = 60.0
"""Time constant of the estimate: an arrival counts e times less after this many seconds."""
FORGOTTEN = 0.05
"""Below so many arrivals remembered, nothing is demanded: a lone call is forgotten after three minutes."""
SAFETY = 2.0
"""Standard deviations of arrivals during a refill that are kept in stock."""
_REFILL_S = 0.5
_WEIGHT = 0.2


class Demand:
    """Arrivals and refill times of one pool, both as exponentially weighted means.

    The number that waits is the order-up-to level of an inventory under Poisson demand: with rate r and lead
    time L, r·L + z·√(r·L), rounded up (P. H. Zipkin, Foundations of Inventory Management, 2000, §6.2: the
    base-stock policy and its normal approximation). Each call takes one and orders one, so that L is the time of
    one refill.
    """

    def __init__(self) -> None:
        self._remembered = 0.0
        self._at = 0.0
        self.refill_s = _REFILL_S
        """Seconds that starting one takes."""

    def arrived(self, now: float) -> None:
        """A call took a container, or would have."""
        self._remembered = self.remembered(now) + 1
        self._at = now

    def refilled(self, seconds: float) -> None:
        """One was started, in this time."""
        self.refill_s += _WEIGHT * (seconds - self.refill_s)

    def remembered(self, now: float) -> float:
        """Arrivals, each with the weight that its age leaves it."""
        return self._remembered * math.exp(-(now - self._at) / MEMORY_S)

    def rate(self, now: float) -> float:
        """Arrivals a second."""
        return self.remembered(now) / MEMORY_S

    def target(self, now: float, lowest: int, highest: int) -> int:
        """How many should wait."""
        if self.remembered(now) < FORGOTTEN:
            return min(lowest, highest)
        during = self.rate(now) * self.refill_s
        return min(highest, max(lowest, math.ceil(during + SAFETY * math.sqrt(during))))
