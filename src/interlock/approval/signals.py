"""Which signal of a person counts for a run. One set of rules, applied twice: by the workflow when a statement
arrives, and by the executor to the events that carry it.
"""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from pydantic import BaseModel, Field

from interlock.approval.tokens import SignalClaims
from interlock.errors import Conflict, InvalidInput, Refused


class Signals(BaseModel):
    """What people have sent to a run. Pure; lives in the workflow's state, and is carried over as JSON."""

    spent: dict[str, int] = Field(default_factory=dict)
    """Nonce → expiry of each statement that was taken."""

    def check(self, claims: SignalClaims, *, run: str, tenant: str, names: Collection[str]) -> None:
        """Refuse a statement before it is written anywhere; its signature was checked when it was read.

        Raises:
            Refused: it is about another run.
            InvalidInput: the workflow listens to no such signal.
            Conflict: it was used before.
        """
        if (claims.run, claims.tenant) != (run, tenant):
            raise Refused(f"the signal is for run {claims.run!r} of tenant {claims.tenant!r}")
        if claims.name not in names:
            raise InvalidInput(f"unknown signal {claims.name!r}", next_step=_meant(claims.name, names))
        if claims.jti in self.spent:
            raise Conflict(f"signal {claims.name!r}: this statement of {claims.sub} was used before")

    def take(self, claims: SignalClaims) -> None:
        """Count a checked statement."""
        self.spent[claims.jti] = claims.exp

    def forget(self, now: int) -> None:
        """Drop nonces of statements that have expired: those are refused anyway. Only for whoever reads the clock
        itself; a record may have been back-dated."""
        self.spent = {jti: exp for jti, exp in self.spent.items() if exp > now}


def _meant(name: str, names: Collection[str]) -> str:
    close = get_close_matches(name, sorted(names), 1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"its workflow listens to {', '.join(sorted(names))}" if names else "its workflow listens to none"
