"""A run's history on the Temporal server: its executions, oldest first, as one list of events.

A long run has several executions, each of which the one before started by continuing as new. The server keeps an
execution that has ended for its retention period only, so the oldest may be gone.
"""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes
from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode

from interlock.errors import Unreachable


async def fetch_history(client: Client, run: str) -> WorkflowHistory:
    """Every event that the Temporal server still has of a run.

    Raises:
        Unreachable: the server does not have it, or does not answer.
    """
    parts: list[WorkflowHistory] = []
    try:
        parts = [await client.get_workflow_handle(run).fetch_history()]
        while before := _started(parts[0].events).continued_execution_run_id:
            parts.insert(0, await client.get_workflow_handle(run, run_id=before).fetch_history())
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND or not parts:
            raise Unreachable(f"Temporal has no history of run {run!r}: {error.message}") from error
    return WorkflowHistory(run, [event for part in parts for event in part.events])


def executions(history: WorkflowHistory) -> list[WorkflowHistory]:
    """One history for each execution. Events before the first start are one of their own: they do not replay."""
    found: list[list[HistoryEvent]] = []
    for event in history.events:
        if not found or event.HasField("workflow_execution_started_event_attributes"):
            found.append([])
        found[-1].append(event)
    return [WorkflowHistory(history.workflow_id, events) for events in found]


def is_whole(history: WorkflowHistory) -> bool:
    """Whether it claims to begin with the run's first execution."""
    return not _started(history.events).continued_execution_run_id


def _started(events: Sequence[HistoryEvent]) -> WorkflowExecutionStartedEventAttributes:
    """Of a history that does not begin with a start: empty."""
    if not events:
        return WorkflowExecutionStartedEventAttributes()
    return events[0].workflow_execution_started_event_attributes
