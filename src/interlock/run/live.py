"""What running calls print, and graphs' nodes write, before they have ended: it is told with each heartbeat."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

from temporalio.client import Client, WorkflowExecutionStatus

from interlock.graph import Written
from interlock.run.client import asked
from interlock.run.payloads import bound_to
from interlock.run.steps import EXECUTE
from interlock.types.closed import Closed


class LiveOutput(Closed):
    """One call that runs now. It is what an executor last told: nobody vouches for it, and it is kept nowhere."""

    call: str
    printed: int
    """Bytes printed so far, on both streams."""
    tail: str
    """The newest of them."""
    withheld: bool
    """Whether a rule redacts its output, so that nothing of it is shown before the end."""


class LiveRun(NamedTuple):
    """A run as it is now."""

    open: bool
    """Whether it has not ended."""
    calls: list[LiveOutput]
    """What its calls have printed so far, by call."""
    nodes: dict[str, Written]
    """What nodes of agents' graphs have written so far, by activity: a node may run several times at once."""


async def live_run(temporal: Client, run: str) -> LiveRun:
    """Look at a run once.

    Raises:
        Conflict: there is no such run. Unreachable: Temporal does not answer.
    """
    found = await asked(temporal.get_workflow_handle(run).describe(), run)
    steps = [step for step in found.raw_description.pending_activities if step.heartbeat_details.payloads]
    converter = temporal.data_converter.with_context(bound_to(run, namespace=temporal.namespace))
    calls: list[LiveOutput] = []
    nodes: dict[str, Written] = {}
    for step in steps:
        told = step.heartbeat_details.payloads
        if step.activity_type.name == EXECUTE:
            calls += await converter.decode(told, [LiveOutput])
            continue
        # A node is team code, which may tell with its heartbeats whatever it likes.
        with contextlib.suppress(ValueError, RuntimeError):
            (nodes[step.activity_id],) = await converter.decode(told, [Written])
    calls.sort(key=lambda one: one.call)
    return LiveRun(found.status == WorkflowExecutionStatus.RUNNING, calls, nodes)
