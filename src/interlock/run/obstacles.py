"""Why an open run does not go on: the last failure of each step that is being tried again."""

from __future__ import annotations

from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client

from interlock.run.client import asked
from interlock.run.payloads import bound_to

_LOOKED_AT: int = 8
"""A workflow task that fails is written once, then tried again unwritten: its failure is among the last events."""


async def obstacles(temporal: Client, run: str) -> list[str]:
    """One line for each step that is being tried again.

    Raises:
        Conflict: there is no such run. Unreachable: Temporal does not answer.
    """
    found = (await asked(temporal.get_workflow_handle(run).describe(), run)).raw_description
    told = [
        f"{step.activity_type.name}, attempt {step.attempt}: {await _said(temporal, run, step.last_failure)}"
        for step in found.pending_activities
        if step.last_failure.message
    ]
    if found.pending_workflow_task.attempt > 1:
        told += await _workflow_task(temporal, run, found.pending_workflow_task.attempt)
    return told


async def _workflow_task(temporal: Client, run: str, attempt: int) -> list[str]:
    request = GetWorkflowExecutionHistoryReverseRequest(
        namespace=temporal.namespace,
        execution=WorkflowExecution(workflow_id=run),
        maximum_page_size=_LOOKED_AT,
    )
    page = await asked(temporal.workflow_service.get_workflow_execution_history_reverse(request), run)
    for event in page.history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            why = await _said(temporal, run, event.workflow_task_failed_event_attributes.failure)
            return [f"its workflow, attempt {attempt}: {why}"]
    return []


async def _said(temporal: Client, run: str, failure: Failure) -> str:
    """The failure in words: the innermost, since what is around it only says that something failed."""
    converter = temporal.data_converter.with_context(bound_to(run, namespace=temporal.namespace))
    error: Any = await converter.decode_failure(failure)
    while error.__cause__ is not None:
        error = error.__cause__
    return str(getattr(error, "message", error))
