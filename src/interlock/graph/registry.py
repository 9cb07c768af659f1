"""Every agent's graph, ready for the plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from langgraph.graph import StateGraph

from interlock.definitions.agent import AgentDefinition
from interlock.errors import InvalidInput, ProjectError
from interlock.graph.conclude import conclude
from interlock.graph.context_type import ContextType
from interlock.graph.loop import standard_loop
from interlock.graph.prepare import Graph, inner_graphs, prepared
from interlock.graph.turn import take_turn

ACTIVITIES: Final[list[Any]] = [conclude, take_turn]
"""Activities that a graph worker registers besides those of the plugin."""


def register(agents: Mapping[str, AgentDefinition]) -> dict[str, Graph]:
    """The graphs of `agents`, by agent, for `LangGraphPlugin(graphs=…)`; graphs in graphs as `AGENT.NODE`.

    Args:
        agents: by name.

    Raises:
        ProjectError: graphs that cannot run under Temporal; every reason of every graph, `file:line: …`.
    """
    graphs: dict[str, Graph] = {}
    problems: list[str] = []
    for name, agent in agents.items():
        try:
            builder = _built(name, agent)
            graphs[name] = prepared(name, builder, _context(name, agent, builder))
            graphs.update(inner_graphs(name, graphs[name]))
        except InvalidInput as error:
            problems += [f"{_place(agent)}{line}" for line in str(error).splitlines()]
    if problems:
        raise ProjectError("graphs that cannot run in a workflow:", problems=tuple(problems))
    return graphs


def _built(name: str, agent: AgentDefinition) -> Graph:
    if agent.graph is None:
        return standard_loop()
    try:
        builder = agent.graph()
    except Exception as error:
        raise InvalidInput(f"{name}: graph() raised {type(error).__name__}: {error}") from error
    if not isinstance(builder, StateGraph):
        kind = type(builder).__name__
        advice = "leave out .compile()" if hasattr(builder, "builder") else "return a StateGraph"
        raise InvalidInput(f"{name}: graph() returned a {kind}, not an uncompiled StateGraph; {advice}")
    return builder


def _context(name: str, agent: AgentDefinition, builder: Graph) -> ContextType | None:
    """The type of the graph's context, which the agent's own fits."""
    try:
        kind = ContextType.of(builder.context_schema)
        if kind is None and agent.context is not None:
            raise InvalidInput("the graph takes no context; make it with StateGraph(State, context_schema=…)")
        if kind is not None:
            kind.read(None if agent.context is None else dict(agent.context))
    except InvalidInput as error:
        raise InvalidInput("\n".join(f"{name}: {line}" for line in str(error).splitlines())) from error
    return kind


def _place(agent: AgentDefinition) -> str:
    code = getattr(agent.graph, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}: " if code else ""
