"""Whether the door is closed: each control, by what the runner saw inside and what the engine tells outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from interlock.sandbox import attempts, inside, outside
from interlock.sandbox.checks import Check, control
from interlock.types import Profile


def from_inside(facts: dict[str, Any], profile: Profile | None = None) -> list[Check]:
    """Judge what the runner saw. A fact that is missing or of another shape is a control that does not hold.

    Args:
        facts: as `guest/facts.py` gathers them.
        profile: what the limits are compared with; None: that there are limits is all that is checked.
    """
    return _judged("facts of the runner", lambda: inside.controls(facts, profile))


def from_outside(
    inspected: dict[str, Any], profile: Profile, labels: Mapping[str, str] | None = None
) -> list[Check]:
    """Judge what the engine says of a running container.

    Args:
        inspected: the engine's answer to `inspect`.
        profile: what it was started with.
        labels: labels that it must have.
    """
    return _judged("report of the engine", lambda: outside.controls(inspected, profile, labels or {}))


def from_probe(found: dict[str, Any]) -> list[Check]:
    """Judge what came of the tool that tried to get out."""
    return _judged("report of the probe", lambda: attempts.controls(found))


def _judged(name: str, judge: Callable[[], Iterator[Check]]) -> list[Check]:
    try:
        return list(judge())
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        return [control(name, False, f"unreadable: {error!r}")]
