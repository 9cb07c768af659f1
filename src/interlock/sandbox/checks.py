"""One line of `doctor`: a control, and the fact that was observed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from interlock.types.closed import Closed

FIX: Final = (
    "run `interlock sandbox build --force`; if it stays, the engine is set up too weakly: see "
    "docs/explanation/closed-door.md"
)


class Check(Closed):
    """Whether one thing is as it must be."""

    name: str
    ok: bool
    observed: str
    """The fact, as seen."""
    fix: str = ""
    """The command or edit that mends it; empty when ok."""


def control(name: str, ok: bool, observed: object) -> Check:
    """A control of the closed door, judged."""
    return Check(name=name, ok=ok, observed=str(observed), fix="" if ok else FIX)


def fact(name: str, observed: object) -> Check:
    """What is worth knowing and cannot be wrong."""
    return Check(name=name, ok=True, observed=str(observed))


def failed(checks: Iterable[Check]) -> str:
    """The controls that do not hold, in one line; empty: all hold."""
    return "; ".join(f"{check.name}: {check.observed}" for check in checks if not check.ok)
