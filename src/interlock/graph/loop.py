"""The standard loop: a model node that runs as an activity, and a node in the workflow that acts.

Its state is a few references. Messages, arguments and outputs are blobs, so that what a step writes into
Temporal's history is the same at the first step and at the thousandth.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypedDict

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langgraph.graph import END, START, StateGraph

from interlock.digest import canonical
from interlock.errors import InvalidInput
from interlock.graph.binding import Binding
from interlock.graph.context import current
from interlock.graph.gate import CallResult, ProposedCall
from interlock.graph.prepare import PLACE, Graph
from interlock.graph.progress import PROGRESS
from interlock.graph.record import record
from interlock.graph.reply import UnreadableReply, ask_model, keep_reply
from interlock.graph.results import answered, message_of
from interlock.graph.transcript import append, load

MODEL: Final = "model"
ACT: Final = "act"
TRIES: Final = 3
"""How often a model may answer what cannot be read before its agent fails."""


class LoopState(TypedDict, total=False):
    """What passes from step to step."""

    task: Any
    """The agent's input, until the first reply."""
    head: str
    """Transcript head after the last reply."""
    calls: list[dict[str, Any]]
    """Calls of the last reply, not yet answered."""
    results: list[dict[str, Any]]
    """Results of the calls before, which the model has not read yet."""
    result: str
    """Digest of the final answer."""


def standard_loop() -> Graph:
    """The graph of an agent that brings none of its own."""
    builder: Graph = StateGraph(LoopState)
    builder.add_node(MODEL, model, metadata={"execute_in": "activity"})
    builder.add_node(ACT, act)
    builder.add_edge(START, MODEL)
    builder.add_conditional_edges(MODEL, next_node, [ACT, END])
    builder.add_edge(ACT, MODEL)
    return builder


def next_node(state: LoopState) -> str:
    """Act while there are calls."""
    return ACT if state.get("calls") else END


async def model(state: LoopState) -> LoopState:
    """Ask the model once."""
    binding = current()
    before, seen = await asyncio.to_thread(_seen, binding, state)
    before, reply = await _readable(binding, before, seen)
    answer = await asyncio.to_thread(keep_reply, binding, before, reply)
    record(before, answer)
    calls = [call.model_dump(mode="json") for call in answer.calls]
    return {"task": None, "head": answer.head, "calls": calls, "results": [], "result": answer.final}


async def act(state: LoopState) -> LoopState:
    """Take the calls to the gate. Runs in the workflow."""
    progress = PROGRESS.get()
    calls = tuple(ProposedCall.model_validate(call) for call in state["calls"])
    results = answered(calls, await progress.gate.call(progress.agent, calls))
    return {"calls": [], "results": [result.model_dump(mode="json") for result in results]}


setattr(act, PLACE, "workflow")


async def _readable(binding: Binding, before: str, seen: list[BaseMessage]) -> tuple[str, AIMessage]:
    """Ask until the reply can be read; the head that the model then saw, and its reply."""
    prompt, problem = SystemMessage(binding.prompt), ""
    for _ in range(TRIES):
        try:
            return before, await ask_model(binding, [prompt, *seen])
        except UnreadableReply as error:
            problem = error.reason
            noted = [AIMessage("[a reply that could not be read]"), HumanMessage(problem)]
            before = await asyncio.to_thread(append, binding.services.blobs, before, noted)
            seen = [*seen, *noted]
    raise InvalidInput(f"{TRIES} replies in a row could not be read: {problem}")


def _seen(binding: Binding, state: LoopState) -> tuple[str, list[BaseMessage]]:
    """Add what is new to the transcript; the head, and every message up to it."""
    head, new = state.get("head", ""), _new_messages(state)
    reader = binding.services.reader
    if new:
        head = append(binding.services.blobs, head, new)
    return head, load(head, reader.link, reader.read)


def _new_messages(state: LoopState) -> list[BaseMessage]:
    if not state.get("head"):
        return [HumanMessage(task_text(state.get("task")))]
    return [message_of(CallResult.model_validate(result)) for result in state.get("results", ())]


def task_text(task: Any) -> str:
    """The task as the model reads it: text as it is, an object as JSON."""
    return task if isinstance(task, str) else canonical(task).decode()
