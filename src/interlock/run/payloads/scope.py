"""Whose key seals a payload: the run's, whose id is Temporal's workflow id.

A schedule holds a payload before there is a run; its scope is `schedule:NAME`, which no run can be called.
"""

from __future__ import annotations

import re
from typing import Final

from temporalio.converter import (
    ActivitySerializationContext,
    SerializationContext,
    WorkflowSerializationContext,
)

SCHEDULE: Final = "schedule:"
_TIMED: Final = re.compile(r"-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
"""What Temporal appends to the workflow id of a schedule for each run of it."""


def scope_of(context: SerializationContext | None) -> str:
    """The run that a payload belongs to; empty where Temporal names none.

    The SDK gives the context wherever it turns values into payloads or back: at the start of a run, for updates,
    queries and their answers, for activities with their heartbeats, and in workflow code. A child's payloads are
    the child's, also in its parent's history.
    """
    match context:
        case WorkflowSerializationContext(workflow_id=run) | ActivitySerializationContext(workflow_id=str(run)):
            return run
        case _:
            return ""


def belongs(sealed_for: str, scope: str) -> bool:
    """Whether a payload that was sealed for one scope may be opened in another: it is the same, or the payload is a
    schedule's and the scope one of its runs."""
    if sealed_for == scope:
        return True
    name = sealed_for.removeprefix(SCHEDULE)
    return sealed_for.startswith(SCHEDULE) and bool(_TIMED.fullmatch(scope.removeprefix(name))) and bool(name)


def bound_to(scope: str, *, namespace: str = "default") -> SerializationContext:
    """The context of a run, for whoever holds payloads that the SDK did not turn: what is read from a
    description of a run, say. Use as `converter.with_context(bound_to(run))`."""
    return WorkflowSerializationContext(namespace=namespace, workflow_id=scope)
