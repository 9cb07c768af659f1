"""What came of the probe's attempts to leave the sandbox, judged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from interlock.sandbox.checks import Check, control
from interlock.sandbox.guest.child import ENVIRONMENT

_REFUSED: Final = "Operation not permitted"
"""What only the filter answers, before it looks at arguments, which make no sense here."""


def controls(found: dict[str, Any]) -> Iterator[Check]:
    """One control an attempt, and the environment that a tool gets.

    Raises:
        KeyError, TypeError: the probe reported something else.
    """
    calls, others, environment = found["calls"], found["attempts"], found["environment"]
    for name, came_of_it in sorted(calls.items()):
        yield control(f"attempt: {name}", came_of_it == _REFUSED, came_of_it)
    for name, came_of_it in sorted(others.items()):
        yield control(f"attempt: {name}", came_of_it != "allowed", came_of_it)
    foreign = sorted(set(environment) - set(ENVIRONMENT))
    yield control("environment of a tool made from nothing", not foreign, f"names {sorted(environment)}")
