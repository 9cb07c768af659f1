"""Conditional edges that work inside a workflow.

LangGraph hands a synchronous path function to a thread, which a workflow does not have: its task would fail
and be retried for ever. Path functions do no I/O, so they are called right where they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from langchain_core.runnables import Runnable, RunnableLambda
from langgraph._internal._runnable import RunnableCallable
from langgraph.graph._branch import BranchSpec

from interlock.errors import InvalidInput


def awaitable(branch: BranchSpec, where: str) -> BranchSpec:
    """`branch` with its path function as a coroutine.

    Args:
        branch: as `add_conditional_edges` made it.
        where: agent and node, for messages.

    Raises:
        InvalidInput: the path is not a function.
    """
    path = branch.path
    if not isinstance(path, (RunnableCallable, RunnableLambda)):
        raise InvalidInput(f"{where}: the path of a conditional edge must be a function, not {_kind(path)}")
    function = getattr(path, "func", None)
    call: Any = _inline(function) if function is not None else path.afunc
    return branch._replace(path=RunnableCallable(None, call, name=path.name, trace=False, recurse=False))


def _inline(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


def _kind(path: Runnable[Any, Any]) -> str:
    return f"a {type(path).__name__}"
