"""Conditional edges that work inside a workflow.

LangGraph hands a synchronous path function to a thread, which a workflow does not have: its task would fail
and be retried for ever. Path functions do no I/O, so they are called right where they are. And what one raises
would make LangGraph cancel the nodes beside it in the order of a set, which differs at replay.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import isawaitable
from typing import Any

from langchain_core.runnables import Runnable, RunnableLambda
from langgraph._internal._runnable import RunnableCallable
from langgraph.graph._branch import BranchSpec
from langgraph.types import Send

from interlock.errors import InvalidInput
from interlock.graph.failures import explained
from interlock.graph.progress import PROGRESS


def awaitable(branch: BranchSpec, where: str) -> BranchSpec:
    """`branch` with its path function as a coroutine, whose failure ends the agent.

    Args:
        branch: as `add_conditional_edges` made it.
        where: agent and node, for messages.

    Raises:
        InvalidInput: the path is not a function.
    """
    path = branch.path
    if not isinstance(path, (RunnableCallable, RunnableLambda)):
        raise InvalidInput(f"{where}: the path of a conditional edge must be a function, not {_kind(path)}")
    function: Any = getattr(path, "func", None) or path.afunc
    call = _safe(function, branch, f"{where}: conditional edge {path.name or ''}".rstrip())
    return branch._replace(path=RunnableCallable(None, call, name=path.name, trace=False, recurse=False))


def _safe(function: Callable[..., Any], branch: BranchSpec, where: str) -> Callable[..., Any]:
    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            found = function(*args, **kwargs)
            found = await found if isawaitable(found) else found
            return _known(found, branch)
        except Exception as error:
            # After all nodes of the step: an edge has no place of its own.
            PROGRESS.get().failures.append((f"~{where}", explained(error, where)))
            return []

    return call


def _known(found: Any, branch: BranchSpec) -> Any:
    if not branch.ends:
        return found
    for one in found if isinstance(found, (list, tuple)) else [found]:
        if not isinstance(one, Send) and one not in branch.ends:
            known = ", ".join(sorted(map(repr, branch.ends)))
            raise InvalidInput(f"it gave {one!r}, which is none of its ends: {known}")
    return found


def _kind(path: Runnable[Any, Any]) -> str:
    return f"a {type(path).__name__}"
