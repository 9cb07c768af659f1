"""A graph with much at once, and a command that replays a history of it: run in another process by tests.

Sets of strings have another order in each process; what a workflow does must not follow it.
"""

from __future__ import annotations

import asyncio
import operator
import os
import sys
from pathlib import Path
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send, interrupt
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.langgraph import LangGraphPlugin
from temporalio.worker import Replayer
from typing_extensions import TypedDict

from interlock.definitions import agent
from interlock.graph import register
from interlock.run.graph_worker import workflow_runner

NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")


class State(TypedDict):
    task: str
    words: Annotated[list[str], operator.add]
    result: str


async def work(state: Any) -> dict[str, Any]:
    """An activity."""
    return {"words": ["work"]}


async def ask(state: Any) -> dict[str, Any]:
    """A question from an activity."""
    return {"words": [interrupt("which?")]}


async def send(state: Any) -> dict[str, Any]:
    """A piece of a fan-out."""
    return {"words": [str(state["n"])]}


async def fail(state: Any) -> dict[str, Any]:
    """A failure beside others."""
    raise TypeError("on purpose")


def spread(state: Any) -> list[Any]:
    """Where to go at once."""
    return [*NAMES, "ask", "other", *(["fail"] if state["task"] == "fail" else [])]


def pieces(state: Any) -> list[Any]:
    """A fan-out."""
    return [Send("piece", {"n": n}) for n in range(4)]


async def join(state: Any) -> dict[str, Any]:
    """The end."""
    return {"result": " ".join(sorted(state["words"]))}


def graph() -> Any:
    """Six activities, two questions and a failure at once; then a fan-out."""
    builder: Any = StateGraph(State)
    for name in NAMES:
        builder.add_node(name, work)
        builder.add_edge(name, "gather")
    builder.add_node("ask", ask)
    builder.add_node("other", ask, metadata={"execute_in": "workflow"})
    builder.add_node("fail", fail)
    builder.add_node("gather", work)
    builder.add_node("piece", send)
    builder.add_node("join", join)
    builder.add_edge("ask", "gather")
    builder.add_edge("other", "gather")
    builder.add_conditional_edges(START, spread)
    builder.add_conditional_edges("gather", pieces, ["piece"])
    builder.add_edge("piece", "join")
    builder.add_edge("join", END)
    return builder


FANOUT = agent("team", prompt="p", graph=graph)


async def replay(path: Path) -> None:
    """Replay the history in a file."""
    from support.bare import BareRun

    replayer = Replayer(
        workflows=[BareRun],
        plugins=[LangGraphPlugin(graphs=register({"team": FANOUT}))],
        workflow_runner=workflow_runner(),
        data_converter=pydantic_data_converter,
    )
    await replayer.replay_workflow(WorkflowHistory.from_json(path.stem, path.read_text()))


if __name__ == "__main__":
    asyncio.run(replay(Path(sys.argv[1])))
    print("replayed")
    # Temporal's native threads may still run, and the interpreter's own end then aborts the process now and then
    # (see interlock.cli.main).
    sys.stdout.flush()
    os._exit(0)
