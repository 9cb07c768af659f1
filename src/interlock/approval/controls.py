"""Pause, resume and cancel of one run: which statement of a person counts. One set of rules, applied twice: by the
workflow when a statement arrives, and by the executor to the events that carry it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from interlock.approval.tokens import ControlClaims
from interlock.errors import Conflict, Refused


@dataclass
class Controls:
    """What people have said about a run's course. Pure; lives in the workflow's state."""

    paused: bool = False
    cancelled: bool = False
    spent: set[str] = field(default_factory=set)
    """Nonces of the statements that counted."""
    paused_at: int = 0
    """When the pause in force was signed."""

    def check(self, claims: ControlClaims, *, run: str, tenant: str) -> None:
        """Refuse a statement before it is written anywhere; its signature was checked when it was read.

        Raises:
            Refused: it is about another run.
            Conflict: it was used before, changes nothing, or was signed before the pause that it would lift.
        """
        if (claims.run, claims.tenant) != (run, tenant):
            raise Refused(f"the statement is about run {claims.run!r} of tenant {claims.tenant!r}")
        if claims.jti in self.spent:
            raise Conflict(f"{claims.verb}: this statement of {claims.sub} was used before")
        if self.cancelled:
            raise Conflict("the run is being cancelled")
        if claims.verb == "cancel":
            return
        if self.paused == (claims.verb == "pause"):
            raise Conflict("the run is paused already" if self.paused else "the run is not paused")
        # A resumption that was refused, or held back by whoever carries it, must not lift a later pause.
        if claims.verb == "resume" and claims.iat < self.paused_at:
            raise Conflict(f"{claims.sub} said so before the run was paused", next_step="resume it again")

    def take(self, claims: ControlClaims) -> None:
        """Count a checked statement."""
        self.spent.add(claims.jti)
        match claims.verb:
            case "pause":
                self.paused, self.paused_at = True, claims.iat
            case "resume":
                self.paused = False
            case "cancel":
                self.cancelled = True
