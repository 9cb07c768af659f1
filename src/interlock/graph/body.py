"""The functions that stand for a node's own: in an activity, and in the workflow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from uuid import uuid4

from langchain_core.messages import BaseMessage
from langgraph.config import get_config
from langgraph.errors import GraphBubbleUp, GraphInterrupt
from temporalio.exceptions import FailureError

from interlock.errors import Refused
from interlock.graph.context import current
from interlock.graph.failures import explained
from interlock.graph.gate import Drained
from interlock.graph.messages import Types, dump, revive
from interlock.graph.place import place_of
from interlock.graph.record import recording
from interlock.graph.results import by_reference, filled
from interlock.graph.runtime import NO_STORE, runtime_of_node
from interlock.graph.services import services
from interlock.graph.work import Work
from interlock.graph.writing import writing


def activity_body(work: Work) -> Callable[..., Any]:
    """The function of a node that runs as an activity: state dumped in, update dumped out."""

    async def body(state: Any) -> dict[str, Any]:
        with recording() as replies:
            try:
                result, interrupts = await _worked(work, state)
            except Exception as error:
                shown = explained(error, work.where)
                if shown is error:
                    raise
                # What is tried again goes without its causes: with them Temporal cuts it, message and all.
                raise shown from (error if getattr(shown, "non_retryable", True) else None)
        written = [item.model_dump(mode="json") for item in replies]
        return {"result": result, "interrupts": interrupts, "replies": written}

    return body


async def _worked(work: Work, state: Any) -> tuple[Any, list[dict[str, Any]]]:
    """What the node returned, dumped; or the questions that it stopped at."""
    value = await asyncio.to_thread(_revived, state, work.types)
    try:
        async with writing(work.where) as writer:
            context = work.context.read(current().entry.context) if work.context else None
            with runtime_of_node(context=context, stream_writer=writer, store=NO_STORE):
                result = await work.run(value, thread=True)
        return dump(result, _outgoing, types=work.types), []
    except GraphInterrupt as error:
        return None, [{"value": dump(i.value), "response_schema": i.response_schema} for i in error.args[0]]


def _revived(state: Any, types: Types) -> Any:
    read = services().reader.read
    return revive(state, types, lambda message: filled(message, read))


def _outgoing(message: BaseMessage) -> BaseMessage:
    """With an id of its own: one that LangGraph makes in the workflow would differ at replay."""
    message = by_reference(message)
    return message if message.id else message.model_copy(update={"id": str(uuid4())})


def workflow_body(work: Work) -> Callable[..., Any]:
    """The function of a node that runs in the workflow: its update passes as an activity's does."""

    async def body(state: Any) -> Any:
        try:
            with runtime_of_node(store=NO_STORE):
                result = await work.run(state, thread=False)
            numbered = _Numbered(f"{work.where}@{place_of(get_config())}")
            return revive(dump(result, numbered, types=work.types), work.types)
        except (GraphBubbleUp, Drained, Refused, FailureError):
            raise
        except Exception as error:
            raise explained(error, work.where) from error

    return body


class _Numbered:
    """Gives messages without an id one that follows from their place."""

    def __init__(self, seed: str) -> None:
        self.seed, self.count = seed, 0

    def __call__(self, message: BaseMessage) -> BaseMessage:
        if message.id:
            return message
        self.count += 1
        text = sha256(f"{self.seed}#{self.count}".encode()).hexdigest()[:32]
        return message.model_copy(update={"id": text})
