"""Small activities beside the workflow: at a third of an activity's cost, as long as they are short.

While a local activity runs, its workflow task must not end. Where one runs for long, the worker asks for another
task and goes on, but replay does not see the first: it gives what the workflow did before a later time than it had,
and the run's chain, whose events have times, would not be computed again. So what takes long, or is tried again
(its database is away), becomes an activity of the server's.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, FailureError

T = TypeVar("T")

SHORT: Final = timedelta(seconds=1)
IN_A_TASK: Final = 7
"""So many of them in one workflow task: together they stay below the eight seconds after which a worker asks for
another one."""
LONG: Final = timedelta(seconds=30)
_ONCE: Final = RetryPolicy(maximum_attempts=1)
_COUNTED: Final = "__interlock_local__"


async def beside(name: str, argument: Any, result: type[T], retry: RetryPolicy) -> T:
    """The result of activity `name`, wherever it runs.

    Raises:
        FailureError: it failed for good, or was cancelled.
    """
    if _number() <= IN_A_TASK:
        try:
            found: T = await workflow.execute_local_activity(
                name, argument, result_type=result, schedule_to_close_timeout=SHORT, retry_policy=_ONCE
            )
            return found
        except FailureError as error:
            # As it happens it is wrapped, when it is replayed it is not.
            if _final(error.cause if isinstance(error, ActivityError) else error):
                raise
    instead: T = await workflow.execute_activity(
        name, argument, result_type=result, start_to_close_timeout=LONG, retry_policy=retry
    )
    return instead


def _final(cause: BaseException | None) -> bool:
    return isinstance(cause, CancelledError) or (isinstance(cause, ApplicationError) and cause.non_retryable)


def _number() -> int:
    """Which one in this workflow task it is. The time stands still within one, also when it is replayed."""
    instance, now = workflow.instance(), workflow.now()
    since, count = getattr(instance, _COUNTED, (None, 0))
    count = count + 1 if since == now else 1
    setattr(instance, _COUNTED, (now, count))
    return count
