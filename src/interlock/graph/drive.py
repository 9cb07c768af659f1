"""Drives a graph inside the workflow: from an agent's task to its outcome. Deterministic, no I/O."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from langchain_core.messages import BaseMessage, HumanMessage, convert_to_messages
from langchain_core.runnables import RunnableConfig
from pydantic import JsonValue
from temporalio.exceptions import is_cancelled_exception
from temporalio.langgraph._task_cache import set_task_cache

from interlock.errors import InvalidInput
from interlock.graph.carried import pack, unpack
from interlock.graph.conclude import Concluded, Ending, by_activity
from interlock.graph.context import metadata_of
from interlock.graph.gate import GATE, Drained, Gate
from interlock.graph.loop import LoopState
from interlock.graph.messages import dump
from interlock.graph.prepare import Graph, context_in, types_in
from interlock.graph.progress import PROGRESS, Progress
from interlock.graph.saver import StateSaver, StateSerde
from interlock.graph.stopped import Stopped
from interlock.graph.task import AgentOutcome, AgentTask
from interlock.graph.turn import task_text
from interlock.graph.words import words_of

__all__ = ["AgentOutcome", "AgentTask", "drive"]

MAX_NODES: Final = 10_000
"""Most rounds of nodes between two questions: a graph that loops without asking a model ends, too."""
Conclude = Callable[[Ending], Awaitable[Concluded]]


async def drive(
    builder: Graph,
    task: AgentTask,
    gate: Gate,
    *,
    state: JsonValue = None,
    conclude: Conclude = by_activity,
) -> AgentOutcome:
    """Run an agent's graph to its end.

    Whatever a node raises ends the agent, not the workflow: the outcome says what it was. Only cancellation
    passes through.

    Args:
        builder: from `register`, as the plugin gives it: `temporalio.langgraph.graph(task.agent)`.
        task: what the agent is to do.
        gate: what governs the run.
        state: of a `Stopped` that an earlier execution of the run's workflow got; None: from the start.
        conclude: how the end of a graph of one's own is stored.

    Raises:
        Stopped: the run drains. Nodes that have ended do not run again when the graph goes on.
    """
    progress, saver = _begun(builder, task, gate, state)
    tokens = GATE.set(gate), PROGRESS.set(progress)
    # The plugin would answer a node that is asked the same twice from memory, without running it.
    set_task_cache(None)
    try:
        final = await _run(builder, task, progress, saver, resumed=state is not None)
        return await _completed(builder, task, progress, final, conclude)
    except Stopped:
        raise
    except Exception as error:
        if is_cancelled_exception(error):
            raise
        head, steps = progress.head, progress.steps
        return AgentOutcome(status="failed", transcript=head, detail=words_of(error), steps=steps)
    finally:
        # A run that is dropped from a worker's cache is torn down in another context than it began in.
        with contextlib.suppress(ValueError):
            GATE.reset(tokens[0])
            PROGRESS.reset(tokens[1])


def _begun(builder: Graph, task: AgentTask, gate: Gate, state: JsonValue) -> tuple[Progress, StateSaver]:
    if state is None:
        return Progress(task.agent, gate), StateSaver(serde=StateSerde(types_in(builder)))
    return unpack(state, builder, task, gate)


async def _run(
    builder: Graph, task: AgentTask, progress: Progress, saver: StateSaver, *, resumed: bool
) -> dict[str, Any]:
    """The graph's final state."""
    compiled = builder.compile(checkpointer=saver)
    config: RunnableConfig = {
        "configurable": {"thread_id": task.run},
        "metadata": metadata_of(task),
        "recursion_limit": MAX_NODES,
    }
    value: Any = None if resumed else initial_state(builder, task)
    context = context_in(builder, task.context)
    while True:
        await compiled.ainvoke(value, config, context=context, durability="exit")
        if progress.stopped:
            raise Stopped(pack(progress, saver, builder, task.run))
        if progress.failure:
            raise progress.failure
        if not progress.questions:
            return dict((await compiled.aget_state(config)).values)
        try:
            await _ask(progress)
        except Drained as stop:
            raise Stopped(pack(progress, saver, builder, task.run)) from stop
        value = None


async def _ask(progress: Progress) -> None:
    """Ask all at once, and give the answers to the nodes."""
    asked = [question.put(progress.agent, progress.gate) for _, question in sorted(progress.questions.items())]
    for error in await asyncio.gather(*asked, return_exceptions=True):
        if error is not None:
            raise error
    progress.answer()


def initial_state(builder: Graph, task: AgentTask) -> dict[str, Any]:
    """The task as the graph's input.

    An object whose keys are all input keys of the graph is the input itself. Otherwise the task becomes the
    first message under `messages`, and stands as it is under `task`, where the graph has these keys.

    Raises:
        InvalidInput: the graph has none of these keys.
    """
    given, keys = task.task, set(builder.schemas[builder.input_schema])
    if builder.state_schema is LoopState:
        return {"task": given}
    if isinstance(given, Mapping) and given and set(given) <= keys:
        return {key: _named(value) if key == "messages" else value for key, value in given.items()}
    state: dict[str, Any] = {"task": given} if "task" in keys else {}
    if "messages" in keys:
        state["messages"] = _named([HumanMessage(task_text(given))])
    if not state:
        shown = ", ".join(sorted(keys))
        raise InvalidInput(
            f"the task does not fit the graph of agent {task.agent!r}, whose input keys are: {shown}",
            next_step="give an object with these keys, or give the graph a key `messages` or `task`",
        )
    return state


def _named(messages: Any) -> list[BaseMessage]:
    """With ids, which LangGraph would otherwise make at random, differently at each replay."""
    converted = convert_to_messages(messages if isinstance(messages, list) else [messages])
    return [m if m.id else m.model_copy(update={"id": f"input-{n}"}) for n, m in enumerate(converted, 1)]


async def _completed(
    builder: Graph, task: AgentTask, progress: Progress, state: Mapping[str, Any], conclude: Conclude
) -> AgentOutcome:
    if builder.state_schema is LoopState:
        result, head = state["result"], state["head"]
    else:
        ending = Ending(
            agent=task.agent, messages=dump(state.get("messages", [])), result=dump(state.get("result"))
        )
        concluded = await conclude(ending)
        result, head = concluded.result, concluded.transcript
    return AgentOutcome(status="completed", result=result, transcript=head, steps=progress.steps)
