"""The standard loop: a node whose activity asks the model, and a node that acts. Both run in the workflow.

Its state is a few references. Messages, arguments and outputs are blobs, so that what a step writes into
Temporal's history is the same at the first step and at the thousandth.
"""

from __future__ import annotations

from typing import Any, Final, TypedDict

from langgraph.config import get_config
from langgraph.graph import END, START, StateGraph

from interlock.graph.context import AGENT, MANIFEST
from interlock.graph.gate import CallResult, ProposedCall
from interlock.graph.place import place_of
from interlock.graph.prepare import PLACE, Graph
from interlock.graph.progress import PROGRESS
from interlock.graph.record import Recorded
from interlock.graph.results import answered
from interlock.graph.turn import Turn, put

MODEL: Final = "model"
ACT: Final = "act"


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
    builder.add_node(MODEL, model)
    builder.add_node(ACT, act)
    builder.add_edge(START, MODEL)
    builder.add_conditional_edges(MODEL, next_node, [ACT, END])
    builder.add_edge(ACT, MODEL)
    return builder


def next_node(state: LoopState) -> str:
    """Act while there are calls."""
    return ACT if state.get("calls") else END


async def model(state: LoopState) -> LoopState:
    """Ask the model once. Runs in the workflow; the question is put by an activity."""
    metadata = get_config()["metadata"]
    turn = Turn(
        agent=metadata[AGENT],
        manifest=metadata[MANIFEST],
        asking=PROGRESS.get().gate.asking(),
        task=state.get("task"),
        head=state.get("head", ""),
        results=tuple(CallResult.model_validate(result) for result in state.get("results", ())),
    )
    answer = await put(turn)
    await PROGRESS.get().report([Recorded(before=turn.head, reply=answer)])
    calls = [call.model_dump(mode="json") for call in answer.calls]
    return {"task": None, "head": answer.head, "calls": calls, "results": [], "result": answer.final}


setattr(model, PLACE, "workflow")


async def act(state: LoopState) -> LoopState:
    """Take the calls to the gate. Runs in the workflow."""
    progress = PROGRESS.get()
    calls = tuple(ProposedCall.model_validate(call) for call in state["calls"])
    results = answered(calls, await progress.call(calls, place_of(get_config())))
    return {"calls": [], "results": [result.model_dump(mode="json") for result in results]}


setattr(act, PLACE, "workflow")
