"""Asking executors to erase a run, and their answer."""

from __future__ import annotations

from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError

from interlock.errors import Conflict, InterlockError, InvalidInput, Refused, TokenRejected, Unreachable
from interlock.run.erase_workflow import ERASE_WORKFLOW, EraseInput, EraseOutput, workflow_of
from interlock.settings import Settings

_ERRORS: dict[str, type[InterlockError]] = {
    kind.__name__: kind for kind in (Conflict, InvalidInput, Refused, TokenRejected, Unreachable)
}


async def erased(temporal: Client, request: EraseInput, settings: Settings) -> EraseOutput:
    """Start the workflow that erases, and wait for it.

    Raises:
        Conflict: another one erases this run at this moment, or what the executor found.
        InvalidInput, Refused, TokenRejected: what the executor found.
        Unreachable: Temporal does not answer.
    """
    try:
        done: EraseOutput = await temporal.execute_workflow(
            ERASE_WORKFLOW,
            request,
            id=workflow_of(request.run),
            task_queue=settings.executor_queue,
            result_type=EraseOutput,
        )
        return done
    except WorkflowAlreadyStartedError as error:
        raise Conflict(f"run {request.run!r} is being erased") from error
    except WorkflowFailureError as error:
        cause: BaseException | None = error.cause
        if isinstance(cause, ActivityError):
            cause = cause.cause
        if isinstance(cause, ApplicationError):
            raise _ERRORS.get(cause.type or "", Refused)(cause.message) from error
        raise Unreachable(f"run {request.run!r} was not erased: {cause}", next_step="try again") from error
    except RPCError as error:
        raise Unreachable(f"Temporal did not answer: {error.message}") from error
