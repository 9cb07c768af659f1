"""What running calls print, before they have ended: their executors tell it with each heartbeat."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from interlock.errors import Conflict, Unreachable
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


async def live_output(temporal: Client, run: str) -> list[LiveOutput]:
    """What the run's calls have printed so far, by call.

    Raises:
        Conflict: there is no such run. Unreachable: Temporal does not answer.
    """
    try:
        found = await temporal.get_workflow_handle(run).describe()
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            raise Conflict(f"Temporal has no run {run!r}", next_step="interlock run list") from error
        raise Unreachable(f"Temporal did not answer: {error.message}", next_step="interlock doctor") from error
    steps = [step for step in found.raw_description.pending_activities if step.activity_type.name == EXECUTE]
    told = [step.heartbeat_details.payloads for step in steps if step.heartbeat_details.payloads]
    decoded = [await temporal.data_converter.decode(payloads, [LiveOutput]) for payloads in told]
    return sorted((values[0] for values in decoded), key=lambda one: one.call)
