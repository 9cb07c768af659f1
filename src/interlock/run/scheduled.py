"""The engine's own workflow that a schedule starts: it starts the run that is meant for its moment, and waits.

It proves nothing by itself. The run carries the schedule's statement, and the executor asks whether that holds for
a run of this id, at this time, with this input.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from pydantic import JsonValue
from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError

from interlock.approval import ScheduleClaims
from interlock.errors import InterlockError, InvalidInput
from interlock.run.authority import api_verifier
from interlock.run.contracts import RunInput, RunOutcome
from interlock.types.closed import Closed

SCHEDULED: Final = "interlock.scheduled"
PREFIX: Final = "schedule:"
"""Of the workflow id: no run can be called so."""
_ID: Final = re.compile(rf"{PREFIX}[a-z0-9_]+-(\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")


class ScheduledInput(Closed):
    """What a schedule gives to each of its workflows."""

    token: str
    """A person's statement, signed by the API."""
    value: JsonValue
    """The input of each run."""


@workflow.defn(name=SCHEDULED, sandboxed=False)
class Scheduled:
    """Starts one run of a schedule."""

    @workflow.run
    async def run(self, request: ScheduledInput) -> str:
        """Start the run, wait for its end, and return its id; fails as the run does."""
        try:
            claims = ScheduleClaims.read(api_verifier(), request.token, now=None)
            start = started_as(claims, request, _moment(workflow.info().workflow_id))
        except InterlockError as error:
            raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from error
        await workflow.execute_child_workflow(
            claims.workflow,
            start,
            id=start.run,
            result_type=RunOutcome,
            # The ledger takes a run once; so does Temporal, as long as it remembers it.
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        return start.run


def started_as(claims: ScheduleClaims, request: ScheduledInput, moment: datetime) -> RunInput:
    """The input of the run that is meant for a moment."""
    return RunInput(
        run=claims.run_at(moment),
        tenant=claims.tenant,
        workflow=claims.workflow,
        requester=claims.sub,
        requester_token=request.token,
        manifest=claims.manifest,
        input=request.value,
    )


def _moment(workflow_id: str) -> datetime:
    """The moment for which Temporal started a workflow, by its id: not put off by jitter or an outage."""
    found = _ID.fullmatch(workflow_id)
    if found is None:
        raise InvalidInput(f"workflow {workflow_id!r} was not started by a schedule")
    return datetime.strptime(found[1], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
