"""Where in its agent's run a node is: a name that is the same at every replay and in every execution of the run.

LangGraph's own ids of tasks follow from ids of checkpoints, which are random.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from langchain_core.runnables import RunnableConfig

AROUND: Final[ContextVar[str]] = ContextVar("interlock_around", default="")
"""Place of the node whose graph runs here; empty in the agent's own graph."""


def place_of(config: RunnableConfig) -> str:
    """Step and path of the task, after the place of the node that it is in."""
    metadata = config.get("metadata", {})
    path = ":".join(str(part) for part in metadata.get("langgraph_path", ()))
    return f"{AROUND.get()}{metadata.get('langgraph_step', 0):08}:{path}"
