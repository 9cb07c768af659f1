"""Finds and removes containers that nobody waits for any more."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

from interlock.sandbox import options
from interlock.sandbox.container import remove
from interlock.sandbox.engine import connect, engine_errors
from interlock.sandbox.owner import is_dead
from interlock.settings import Settings


def clean(settings: Settings, *, all: bool = False) -> list[str]:
    """Remove the containers whose owner is dead or whose time is up.

    Args:
        settings: unused by the local engine; names where the engine is later.
        all: also those that still run for a living executor. Their calls end as `killed`.

    Returns:
        One line for each that was removed: name, run, call and why.

    Raises:
        SandboxUnavailable: no engine answers.
    """
    removed = []
    with closing(connect()) as api, engine_errors():
        # The low-level list: the high-level one inspects each container, and fails on one that has just gone.
        for row in api.containers(all=True, filters={"label": options.LABEL}):
            why = _why(row["Labels"], all=all)
            if why and remove(api, row["Id"]):
                removed.append(_line(row, why))
    return removed


def _why(labels: dict[str, str], *, all: bool) -> str:
    expires = labels.get(options.LABEL_EXPIRES, "0")
    if is_dead(labels[options.LABEL]):
        return "its executor is dead"
    if not expires.isdigit() or int(expires) < time.time():
        return "its time is up"
    return "all were asked for" if all else ""


def _line(row: dict[str, Any], why: str) -> str:
    labels = row["Labels"]
    call = labels.get(options.LABEL_CALL, "")
    # A container that is half gone may have lost its name.
    name = (row["Names"] or [row["Id"][:12]])[0].lstrip("/")
    return f"{name}{f' (call {call})' if call else ''}: {why}"
