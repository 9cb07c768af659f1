"""A StateGraph as an author wrote it, made ready to run under Temporal, or refused with every reason."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from langchain_core.runnables import RunnableLambda
from langgraph._internal._runnable import RunnableCallable
from langgraph.graph import StateGraph
from langgraph.graph._node import StateNodeSpec
from langgraph.graph.state import CompiledStateGraph
from pydantic import JsonValue
from temporalio.common import RetryPolicy

from interlock.errors import InvalidInput
from interlock.graph.beating import SILENCE
from interlock.graph.context_type import ContextType
from interlock.graph.edges import awaitable
from interlock.graph.inner import InnerGraph, refusals
from interlock.graph.messages import Types
from interlock.graph.node import GraphNode
from interlock.graph.runtime import STORE, asks_for_store
from interlock.graph.shape import shape_of
from interlock.graph.types_of import types_of
from interlock.graph.work import Place, Work

Graph = StateGraph[Any, Any, Any, Any]

PLACE: Final = "__interlock_execute_in__"
"""Attribute of a node function that says where it runs, when the node's metadata does not."""
ACTIVITY: Final[dict[str, Any]] = {
    "execute_in": "activity",
    "start_to_close_timeout": timedelta(minutes=5),
    "heartbeat_timeout": SILENCE,
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=1),
        backoff_coefficient=2.0,
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=8,
    ),
}
"""How a node runs as an activity unless its metadata says otherwise. Which errors are final is decided where
they are raised (`failures.explained`)."""


def prepared(name: str, builder: Graph, context: ContextType | None = None) -> Graph:
    """A copy of `builder` that the plugin takes.

    Args:
        name: the agent's name.
        builder: uncompiled; left as it is.
        context: of what its nodes read as `runtime.context`.

    Raises:
        InvalidInput: one line for each reason why it cannot work.
    """
    reasons = list(_reasons(name, builder))
    if reasons:
        raise InvalidInput("\n".join(reasons))
    ready = copy.copy(builder)
    types, shape = types_of(builder), shape_of(builder)
    ready.compiled = False
    ready.nodes = {key: _node(f"{name}.{key}", spec, types, shape, context) for key, spec in builder.nodes.items()}
    ready.branches = defaultdict(dict)
    for source, branches in builder.branches.items():
        where = f"{name}.{source}"
        ready.branches[source] = {key: awaitable(branch, where, builder.nodes) for key, branch in branches.items()}
    return ready


def types_in(ready: Graph) -> Types:
    """The types that the values of a prepared graph may be of. They were found when it was prepared: in a
    workflow's sandbox, annotations cannot be read."""
    return {key: kind for work in _works(ready).values() for key, kind in work.types.items()}


def nodes_in(ready: Graph) -> list[str]:
    """The nodes of a prepared graph and of those in it, as `AGENT.NODE`."""
    graphs = [ready, *(inner for _, inner in inner_graphs("", ready))]
    return sorted(work.where for graph in graphs for work in _works(graph).values())


def context_in(ready: Graph, context: JsonValue) -> Any:
    """What nodes and edges of a prepared graph read as `runtime.context`, where they run in the workflow."""
    kind = next((work.context for work in _works(ready).values()), None)
    return None if kind is None else kind.read(context)


def inner_graphs(name: str, ready: Graph) -> Iterator[tuple[str, Graph]]:
    """The prepared graphs that are nodes of a prepared graph, however deep, under the names of their nodes."""
    for key, work in _works(ready).items():
        if isinstance(work.runnable, InnerGraph):
            yield f"{name}.{key}", work.runnable.builder
            yield from inner_graphs(f"{name}.{key}", work.runnable.builder)


def _works(ready: Graph) -> dict[str, Work]:
    nodes = {key: spec.runnable for key, spec in ready.nodes.items()}
    return {key: node.work for key, node in nodes.items() if isinstance(node, GraphNode)}


def _node(
    where: str,
    spec: StateNodeSpec[Any, Any],
    types: Types,
    shape: Callable[[Any], Any],
    context: ContextType | None,
) -> Any:
    runnable: Any = spec.runnable
    metadata = dict(spec.metadata or {})
    if isinstance(runnable, CompiledStateGraph):
        runnable = InnerGraph(prepared(where, runnable.builder, context))
        types = {**types, **types_in(runnable.builder)}
    place: Place = metadata.get("execute_in") or _own_place(runnable)
    options = {**ACTIVITY, **metadata} if place == "activity" else {**metadata, "execute_in": place}
    node = GraphNode(Work(where, runnable, types, shape, context), place)
    return replace(spec, runnable=node, metadata=options)


def _own_place(runnable: Any) -> Place:
    if isinstance(runnable, InnerGraph):
        return "workflow"
    function = getattr(runnable, "func", None) or getattr(runnable, "afunc", None)
    found: Place = getattr(function, PLACE, "activity")
    return found


def _reasons(name: str, builder: Graph) -> Iterator[str]:
    try:
        copy.copy(builder).validate()
    except ValueError as error:
        yield f"{name}: {error}"
    defaults = builder._node_defaults
    if any((defaults.retry_policy, defaults.cache_policy, defaults.error_handler, defaults.timeout)):
        yield f"{name}: set_node_defaults() does not work under Temporal; set options in each node's metadata"
    for key, spec in builder.nodes.items():
        yield from (f"{name}.{key}: {reason}" for reason in _node_reasons(spec))
        if isinstance(spec.runnable, CompiledStateGraph):
            yield from _reasons(f"{name}.{key}", spec.runnable.builder)
    for source, branches in builder.branches.items():
        for branch in branches.values():
            if not isinstance(branch.path, (RunnableCallable, RunnableLambda)):
                yield f"{name}.{source}: the path of a conditional edge must be a function"
            elif asks_for_store(branch.path):
                yield f"{name}.{source}: parameter 'store' of a conditional edge is not to be had: {STORE}"


def _node_reasons(spec: StateNodeSpec[Any, Any]) -> Iterator[str]:
    runnable: Any = spec.runnable
    if spec.retry_policy:
        yield "retry_policy is LangGraph's; write metadata={'retry_policy': temporalio.common.RetryPolicy(…)}"
    if spec.timeout:
        yield "timeout is LangGraph's; write metadata={'start_to_close_timeout': timedelta(…)}"
    if spec.cache_policy:
        yield "cache_policy has no cache here; Temporal keeps the result of a finished activity"
    if spec.is_error_handler or spec.error_handler_node:
        yield "error_handler gets nothing under Temporal; catch the error in the node"
    yield from refusals(runnable, spec.metadata or {})
    if isinstance(runnable, CompiledStateGraph):
        return
    place = (spec.metadata or {}).get("execute_in", _own_place(runnable))
    if place not in ("activity", "workflow"):
        yield f"metadata execute_in is {place!r}; it is 'activity' or 'workflow'"
    if place == "workflow" and not isinstance(runnable, RunnableCallable):
        yield f"a {type(runnable).__name__} cannot run in the workflow; use a function"
    if isinstance(runnable, RunnableCallable):
        asked = {*runnable.func_accepts, *(("store",) if asks_for_store(runnable) else ())}
        refused = sorted(asked - {"config", "runtime", "writer", "previous"})
        yield from (f"parameter {key!r} is not to be had: {_WHY.get(key, 'unknown')}" for key in refused)


_WHY: Final = {
    "store": STORE,
    "error": "LangGraph's error handlers do not run under Temporal",
}
