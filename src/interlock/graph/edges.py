"""Conditional edges that work inside a workflow.

LangGraph hands a synchronous path function to a thread, which a workflow does not have: its task would fail
and be retried for ever. Path functions do no I/O, so they are called right where they are. And what one raises
would make LangGraph cancel the nodes beside it in the order of a set, which differs at replay.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import wraps
from inspect import isawaitable
from typing import Any

from langchain_core.runnables import Runnable, RunnableLambda
from langgraph._internal._runnable import RunnableCallable
from langgraph.graph import END
from langgraph.graph._branch import BranchSpec
from langgraph.types import Send

from interlock.errors import InvalidInput
from interlock.graph.failures import explained
from interlock.graph.progress import PROGRESS


def awaitable(branch: BranchSpec, where: str, nodes: Collection[str]) -> BranchSpec:
    """`branch` with its path function as a coroutine, whose failure ends the agent.

    Args:
        branch: as `add_conditional_edges` made it.
        where: agent and node, for messages.
        nodes: those of the graph.

    Raises:
        InvalidInput: the path is not a function.
    """
    path = branch.path
    if not isinstance(path, (RunnableCallable, RunnableLambda)):
        raise InvalidInput(f"{where}: the path of a conditional edge must be a function, not {_kind(path)}")
    function: Any = getattr(path, "func", None) or path.afunc
    ends = branch.ends or {name: name for name in (*nodes, END)}
    call = _safe(function, ends, nodes, f"{where}: conditional edge {path.name or ''}".rstrip())
    return branch._replace(path=RunnableCallable(None, call, name=path.name, trace=False, recurse=False))


def _safe(
    function: Callable[..., Any], ends: Collection[Any], nodes: Collection[str], where: str
) -> Callable[..., Any]:
    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            found = function(*args, **kwargs)
            found = await found if isawaitable(found) else found
            for one in found if isinstance(found, (list, tuple)) else [found]:
                check_target(one, ends, nodes)
            return found
        except Exception as error:
            # After all nodes of the step: an edge has no place of its own.
            PROGRESS.get().failures.append((f"~{where}", explained(error, where)))
            return []

    return call


def check_target(target: Any, ends: Collection[Any], nodes: Collection[str]) -> None:
    """LangGraph passes over a target that is not there, and the graph would end early.

    Args:
        target: where an edge or a node wants to go.
        ends: what may be named.
        nodes: what something may be sent to.

    Raises:
        InvalidInput: there is no such target.
    """
    name, known = (target.node, nodes) if isinstance(target, Send) else (target, ends)
    if name not in known:
        shown = ", ".join(sorted(map(repr, known)))
        raise InvalidInput(f"it goes to {name!r}, which is none of {shown}")


def _kind(path: Runnable[Any, Any]) -> str:
    return f"a {type(path).__name__}"
