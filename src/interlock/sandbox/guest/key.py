"""The idempotency key of a call: what tools find it under. `definitions/tool.py` has the same names."""

from __future__ import annotations

from typing import Any

from .annotations import show, unwrap

VARIABLE = "INTERLOCK_IDEMPOTENCY_KEY"
PARAMETER = "idempotency_key"


def mistake(hints: dict[str, Any]) -> str:
    """What is wrong with a function's parameter for the key; empty: it is right, or there is none."""
    annotation = hints.get(PARAMETER, str)
    if unwrap(annotation)[0] is str:
        return ""
    return f"parameter {PARAMETER!r} is the engine's and a str, not {show(annotation)}; give yours another name"
