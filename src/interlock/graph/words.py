"""What went wrong in a graph, in words."""

from __future__ import annotations

from temporalio.exceptions import ActivityError, ApplicationError

from interlock.errors import InterlockError


def words_of(error: Exception) -> str:
    """What `error` says, without the wrapping that activities add."""
    cause: BaseException | None = error.cause if isinstance(error, ActivityError) else error
    if isinstance(cause, ApplicationError):
        return cause.message
    if isinstance(cause, InterlockError):
        return str(cause)
    return f"{type(cause or error).__name__}: {cause or error}"
