"""Whose key seals a payload: the run's, whose id is Temporal's workflow id.

A schedule holds the input of its workflows before there is one; all of them share the scope `schedule:NAME`, which
no run can be called. The runs that they start are runs like any other.
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
_MOMENT: Final = re.compile(r"-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
"""What Temporal appends to the workflow id of a schedule for each of its workflows."""


def scope_of(context: SerializationContext | None) -> str:
    """The run or schedule that a payload belongs to; empty where Temporal names none.

    The SDK gives the context wherever it turns values into payloads or back: at the start of a run, for updates,
    queries and their answers, for activities with their heartbeats, and in workflow code. A child's payloads are
    the child's, also in its parent's history.
    """
    match context:
        case WorkflowSerializationContext(workflow_id=run) | ActivitySerializationContext(workflow_id=str(run)):
            return _MOMENT.sub("", run) if run.startswith(SCHEDULE) else run
        case _:
            return ""


def bound_to(run: str, *, namespace: str = "default") -> SerializationContext:
    """The context of a run, for whoever holds payloads that the SDK did not turn: what is read from a
    description of a run, say. Use as `converter.with_context(bound_to(run))`."""
    return WorkflowSerializationContext(namespace=namespace, workflow_id=run)
