"""A graph as a node of another: a compiled graph whose nodes are prepared like the agent's own.

The node itself runs in the workflow and does nothing but run the inner graph, so each inner node is an activity
or workflow code of its own, is stopped and gone on with by itself, and asks and calls by itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from langgraph._internal._runnable import RunnableCallable
from langgraph.config import get_config
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel._utils import get_function_nonlocals
from langgraph.pregel.protocol import PregelProtocol

from interlock.graph.place import AROUND, place_of
from interlock.graph.runtime import STORE

Inner = StateGraph[Any, Any, Any, Any]

_OPTIONS: Final = {
    "checkpointer": "the run itself keeps the state",
    "store": STORE,
    "cache": "Temporal keeps the result of a finished activity",
    "interrupt_before_nodes": "nobody would be asked; call interrupt() in a node",
    "interrupt_after_nodes": "nobody would be asked; call interrupt() in a node",
    "config": "options of with_config() do not reach the nodes",
}


class InnerGraph(RunnableCallable):
    """Runs a prepared graph in the workflow."""

    def __init__(self, builder: Inner) -> None:
        self.builder = builder
        super().__init__(None, self._run, name="inner", trace=False, recurse=False)

    async def _run(self, state: Any) -> Any:
        config = get_config()
        token = AROUND.set(f"{place_of(config)}|")
        try:
            return await self.builder.compile().ainvoke(state, config)
        finally:
            # As in `drive`: a torn down run is in another context.
            with contextlib.suppress(ValueError):
                AROUND.reset(token)


def refusals(runnable: Any, metadata: Mapping[str, Any]) -> Iterator[str]:
    """Why a node that is a graph, or that calls one, cannot work."""
    if isinstance(runnable, CompiledStateGraph):
        if metadata.get("execute_in", "workflow") != "workflow":
            yield "a graph as a node runs in the workflow; its own nodes say where they run"
        for option, why in _OPTIONS.items():
            if getattr(runnable, option, None):
                yield f"the graph was compiled with {option.removesuffix('_nodes')}: {why}"
    elif isinstance(runnable, PregelProtocol):
        yield f"a {type(runnable).__name__} as a node is not governed; use a compiled StateGraph"
    elif _calls_graph(runnable):
        yield (
            "it calls a compiled graph, which would run as one activity, ungoverned and without interrupts; "
            "make the compiled graph a node, and bring the state into its form in nodes before and after it"
        )


def _calls_graph(runnable: Any) -> bool:
    steps = [runnable, *getattr(runnable, "steps", ()), *getattr(runnable, "deps", ())]
    functions = [getattr(step, "func", None) or getattr(step, "afunc", None) for step in steps]
    used = [getattr(value, "__self__", value) for f in functions if f for value in get_function_nonlocals(f)]
    return any(isinstance(value, PregelProtocol) for value in [*steps, *used])
