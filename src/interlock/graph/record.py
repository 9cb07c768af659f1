"""What models answered during one activity, on its way to the gate.

An activity cannot reach the gate, so it hands the replies to the workflow with its result, and the workflow
records them before anything else happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from interlock.errors import InterlockError
from interlock.graph.gate import ModelReply
from interlock.types.closed import Slim


class Recorded(Slim):
    """One reply, and the head of the transcript before it."""

    before: str = ""
    reply: ModelReply


_replies: Final[ContextVar[list[Recorded] | None]] = ContextVar("interlock_replies", default=None)


@contextmanager
def recording() -> Iterator[list[Recorded]]:
    """Mark what runs inside as an activity of a graph; gives the list that fills with replies."""
    replies: list[Recorded] = []
    token = _replies.set(replies)
    try:
        yield replies
    finally:
        _replies.reset(token)


def inside_activity() -> bool:
    """Whether this code runs in an activity of a graph."""
    return _replies.get() is not None


def record(before: str, reply: ModelReply) -> None:
    """Add a reply to this activity's record.

    Raises:
        InterlockError: not inside an activity of a graph.
    """
    replies = _replies.get()
    if replies is None:
        raise InterlockError("a model replied outside an activity of a graph, where nothing records it")
    replies.append(Recorded(before=before, reply=reply))
