"""What an author wrote as a node, as it is called in its place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph._internal._constants import CONFIG_KEY_RUNTIME
from langgraph._internal._runnable import RunnableCallable
from langgraph.config import get_config

from interlock.graph.context_type import ContextType
from interlock.graph.inner import InnerGraph
from interlock.graph.messages import Types

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
