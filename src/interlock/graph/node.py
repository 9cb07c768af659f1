"""One node of a graph, made to run under Temporal: as an activity, or inside the workflow.

The plugin replaces the function that a node runs; this class stays around it, so that what crosses the
activity boundary is dumped and revived on both sides, replies reach the gate, and ids are the same at every
replay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal
from uuid import uuid4

from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph._internal._constants import CONFIG_KEY_RUNTIME, CONFIG_KEY_SCRATCHPAD, CONFIG_KEY_SEND, RESUME
from langgraph._internal._runnable import RunnableCallable
from langgraph.config import get_config
from langgraph.errors import GraphBubbleUp, GraphInterrupt
from langgraph.types import Interrupt
from temporalio.exceptions import is_cancelled_exception

from interlock.graph.context import current
from interlock.graph.context_type import ContextType
from interlock.graph.failures import explained
from interlock.graph.gate import Drained
from interlock.graph.inner import InnerGraph
from interlock.graph.messages import Types, dump, revive
from interlock.graph.place import place_of
from interlock.graph.progress import PROGRESS
from interlock.graph.questions import Question
from interlock.graph.record import Recorded, recording
from interlock.graph.results import by_reference, filled
from interlock.graph.runtime import runtime_of_node
from interlock.graph.services import services
from interlock.graph.writing import writing

Place = Literal["activity", "workflow"]


@dataclass(frozen=True)
class Work:
    """What an author wrote as a node."""

    where: str
    """`AGENT.NODE`."""
    runnable: Runnable[Any, Any]
    types: Types
    shape: Callable[[Any], Any] = field(default=lambda update: update)
    """Brings an update into its exact form: messages as message objects."""
    context: ContextType | None = None
    """Of what the node reads as `runtime.context`."""

    @property
    def inner(self) -> bool:
        """Whether the node is a graph, whose nodes ask for themselves."""
        return isinstance(self.runnable, InnerGraph)

    async def run(self, state: Any, *, thread: bool) -> Any:
        """Call it with `state`; a synchronous function on a thread, or right here."""
        config, runnable = get_config(), self.runnable
        if not isinstance(runnable, RunnableCallable):
            return self.shape(await runnable.ainvoke(state, config))
        extra = {**runnable.kwargs, **_injected(runnable, config)}
        if runnable.func is None:
            assert runnable.afunc is not None
            return self.shape(await runnable.afunc(state, **extra))
        if thread:
            return self.shape(await asyncio.to_thread(runnable.func, state, **extra))
        return self.shape(runnable.func(state, **extra))


def _injected(runnable: RunnableCallable, config: RunnableConfig) -> dict[str, Any]:
    runtime = config["configurable"][CONFIG_KEY_RUNTIME]
    known = {"config": config, "runtime": runtime, "writer": runtime.stream_writer, "previous": None}
    return {name: known[name] for name in runnable.func_accepts if name in known}


class GraphNode(RunnableCallable):
    """A node as the plugin takes it."""

    def __init__(self, work: Work, place: Place) -> None:
        self.work, self.place = work, place
        body = _activity_body(work) if place == "activity" else _workflow_body(work)
        # The plugin identifies functions by qualified name and refuses local ones.
        body.__qualname__ = body.__name__ = work.where
        super().__init__(None, body, name=work.where.rpartition(".")[2], trace=False, recurse=False)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Run the node; in the workflow, or in the trial run that stands for it."""
        assert config is not None
        progress, place, answers = PROGRESS.get(), place_of(config), _answers(config)
        if place in progress.questions:
            _keep(config, answers)
        progress.enter(place, answers)
        try:
            result = await self._through(input, config, kwargs)
        except (GraphBubbleUp, Drained) as stop:
            if progress.halts(place) or isinstance(stop, Drained):
                progress.stop(place, answers)
            if isinstance(stop, GraphInterrupt) and stop.args[0] and not self.work.inner:
                progress.questions[place] = Question(stop.args[0][0], place, list(answers))
            raise
        except Exception as error:
            if is_cancelled_exception(error):
                raise
            # Raising would make LangGraph cancel the siblings in the order of a set, which differs at replay.
            progress.failures.append((place, error))
            raise GraphInterrupt(()) from error
        if progress.halts(place):  # and the node went on as if nothing were
            progress.stop(place, answers)
        progress.leave(place)
        return result

    async def _through(self, state: Any, config: RunnableConfig, kwargs: dict[str, Any]) -> Any:
        if self.place == "workflow":
            return await super().ainvoke(state, config, **kwargs)
        _keep(config, _answers(config))
        # The activity has the context from the manifest: each step's history would hold it otherwise.
        with runtime_of_node(context=None):
            reply = await super().ainvoke(dump(state), config, **kwargs)
        await PROGRESS.get().report([Recorded.model_validate(item) for item in reply["replies"]])
        if reply["interrupts"]:
            namespace = config["configurable"]["checkpoint_ns"]
            # Ids are made anew here: those of the activity belong to the run that is now replayed.
            raise GraphInterrupt(tuple(_interrupt(item, namespace) for item in reply["interrupts"]))
        return revive(reply["result"], self.work.types)


def _answers(config: RunnableConfig) -> list[Any]:
    """What the node's questions were answered so far. The list that LangGraph will give the node."""
    answers: list[Any] = config["configurable"][CONFIG_KEY_SCRATCHPAD].resume
    return answers


def _keep(config: RunnableConfig, answers: list[Any]) -> None:
    """Keep them for when the node asks again, which LangGraph does only of answers that it saw being read: not of
    those that an activity read."""
    if answers:
        config["configurable"][CONFIG_KEY_SEND]([(RESUME, list(answers))])


def _interrupt(item: Mapping[str, Any], namespace: str) -> Interrupt[Any]:
    return Interrupt.from_ns(revive(item["value"]), namespace, response_schema=item["response_schema"])


def _activity_body(work: Work) -> Callable[..., Any]:
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
            with runtime_of_node(context=context, stream_writer=writer):
                result = await work.run(value, thread=True)
        return dump(result, _outgoing), []
    except GraphInterrupt as error:
        return None, [{"value": dump(i.value), "response_schema": i.response_schema} for i in error.args[0]]


def _revived(state: Any, types: Types) -> Any:
    read = services().reader.read
    return revive(state, types, lambda message: filled(message, read))


def _outgoing(message: BaseMessage) -> BaseMessage:
    """With an id of its own: one that LangGraph makes in the workflow would differ at replay."""
    message = by_reference(message)
    return message if message.id else message.model_copy(update={"id": str(uuid4())})


def _workflow_body(work: Work) -> Callable[..., Any]:
    async def body(state: Any) -> Any:
        result = await work.run(state, thread=False)
        numbered = _Numbered(f"{work.where}@{place_of(get_config())}")
        return revive(dump(result, numbered), work.types)

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
