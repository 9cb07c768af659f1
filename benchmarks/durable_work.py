"""The work that every way of `durable.py` does: an agent that calls one tool a step, its model a stand-in.

A step is one model reply and one tool call whose output has 2 kB.
"""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph

OUTPUT = "x" * 2000
"""What the tool gives."""


class State(TypedDict):
    """A conversation, as graphs commonly keep it."""

    messages: Annotated[list[dict[str, Any]], operator.add]
    steps: int
    """How many calls are to be made."""


async def model(state: State) -> dict[str, Any]:
    """Call the tool until there were enough calls."""
    made = sum(message["role"] == "tool" for message in state["messages"])
    if made == state["steps"]:
        return {"messages": [{"role": "ai", "text": "done", "calls": []}]}
    return {
        "messages": [{"role": "ai", "text": "", "calls": [{"tool": "note", "arguments": {"text": f"step {made}"}}]}]
    }


async def tool(state: State) -> dict[str, Any]:
    """Answer the call."""
    return {"messages": [{"role": "tool", "text": OUTPUT}]}


async def next_node(state: State) -> str:
    """Call the tool while the model asks for it."""
    return "tool" if state["messages"][-1]["calls"] else END


def graph(**metadata: Any) -> StateGraph[Any, Any, Any, Any]:
    """The agent as a LangGraph graph."""
    builder: StateGraph[Any, Any, Any, Any] = StateGraph(State)
    builder.add_node("model", model, metadata=metadata)
    builder.add_node("tool", tool, metadata=metadata)
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", next_node, ["tool", END])
    builder.add_edge("tool", "model")
    return builder


def begun(steps: int) -> State:
    """The state that a run begins with."""
    return {"messages": [{"role": "user", "text": "go"}], "steps": steps}
