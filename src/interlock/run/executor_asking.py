"""Having executors do something that no run can take the statement for, and their answer."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError

from interlock.errors import Conflict, InterlockError, InvalidInput, Refused, TokenRejected, Unreachable

T = TypeVar("T", bound=BaseModel)

_ERRORS: dict[str, type[InterlockError]] = {
    kind.__name__: kind for kind in (Conflict, InvalidInput, Refused, TokenRejected, Unreachable)
}


async def done_by_executors(
    temporal: Client, workflow: str, request: BaseModel, *, workflow_id: str, queue: str, answer: type[T], what: str
) -> T:
    """Start an engine's own workflow on the executors' queue, and wait for it.

    Args:
        what: what is done, to be said: `run 'x' is being erased`.

    Raises:
        Conflict: it is being done at this moment, or what the executor found.
        InvalidInput, Refused, TokenRejected: what the executor found.
        Unreachable: Temporal does not answer.
    """
    try:
        done: T = await temporal.execute_workflow(
            workflow, request, id=workflow_id, task_queue=queue, result_type=answer
        )
        return done
    except WorkflowAlreadyStartedError as error:
        raise Conflict(what) from error
    except WorkflowFailureError as error:
        cause: BaseException | None = error.cause
        if isinstance(cause, ActivityError):
            cause = cause.cause
        if isinstance(cause, ApplicationError):
            raise _ERRORS.get(cause.type or "", Refused)(cause.message) from error
        raise Unreachable(f"{what}: it did not end well: {cause}", next_step="try again") from error
    except RPCError as error:
        raise Unreachable(f"Temporal did not answer: {error.message}") from error
