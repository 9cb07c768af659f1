"""`context_schema`: an agent's definition gives its graph's nodes something to read, wherever they run."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime, get_runtime
from pydantic import BaseModel
from typing_extensions import TypedDict

from interlock.definitions import AgentDefinition, agent
from interlock.errors import InvalidInput, ProjectError
from interlock.graph import register
from interlock.graph.smoke import smoke


class Words(TypedDict):
    task: str
    words: Annotated[list[str], operator.add]
    result: str


@dataclass
class Region:
    name: str
    limit: int = 5


class Place(TypedDict):
    name: str


class Where(BaseModel):
    region: Region


def team(schema: Any, context: Any, *nodes: Any, **places: str) -> AgentDefinition:
    def graph() -> Any:
        builder: Any = StateGraph(Words, context_schema=schema)
        before = START
        for node in nodes:
            builder.add_node(node.__name__, node, metadata={"execute_in": places.get(node.__name__, "activity")})
            builder.add_edge(before, node.__name__)
            before = node.__name__
        return builder

    return agent("team", prompt="p", graph=graph, context=context)


def join(state: Words) -> dict[str, Any]:
    return {"result": " ".join(state["words"])}


@pytest.mark.temporal
async def test_nodes_read_the_context_wherever_they_run(drive_graph: Any) -> None:
    def in_activity(state: Words, runtime: Runtime[Region]) -> dict[str, Any]:
        return {"words": [f"{type(runtime.context).__name__} {runtime.context.name}"]}

    def in_workflow(state: Words, runtime: Runtime[Region]) -> dict[str, Any]:
        return {"words": [str(runtime.context.limit)]}

    def by_function(state: Words) -> dict[str, Any]:
        return {"words": [get_runtime(Region).context.name]}

    team_of = team(Region, {"name": "north"}, in_activity, in_workflow, by_function, join, in_workflow="workflow")
    ran = await drive_graph(team_of)
    assert ran.text == "Region north 5 north", ran.outcome


@pytest.mark.temporal
async def test_edges_and_inner_graphs_read_the_context(drive_graph: Any) -> None:
    def inner(state: Words, runtime: Runtime[Place]) -> dict[str, Any]:
        return {"words": [runtime.context["name"]]}

    def on(state: Words, runtime: Runtime[Place]) -> str:
        return "join" if runtime.context["name"] == "north" else END

    def graph() -> Any:
        part: Any = StateGraph(Words, context_schema=Place)
        part.add_node("inner", inner)
        part.add_edge(START, "inner")
        builder: Any = StateGraph(Words, context_schema=Place)
        builder.add_node("part", part.compile())
        builder.add_node("join", join)
        builder.add_edge(START, "part")
        builder.add_conditional_edges("part", on)
        return builder

    ran = await drive_graph(agent("team", prompt="p", graph=graph, context={"name": "north"}))
    assert ran.text == "north", ran.outcome


@pytest.mark.temporal
async def test_context_is_not_in_each_steps_history(drive_graph: Any) -> None:
    def first(state: Words, runtime: Runtime[Place]) -> dict[str, Any]:
        return {"words": [str(len(runtime.context["name"]))]}

    ran = await drive_graph(team(Place, {"name": "north" * 100}, first, join))
    assert ran.text == "500", ran.outcome
    scheduled = [e for e in ran.history.events if e.HasField("activity_task_scheduled_event_attributes")]
    assert scheduled
    assert not [e for e in scheduled if b"northnorth" in e.SerializeToString()]


def test_context_of_a_trial_run_is_the_agents_own() -> None:
    def reads(state: Words, runtime: Runtime[Where]) -> dict[str, Any]:
        assert runtime.context.region == Region("north", 7)
        return {}

    smoke(team(Where, {"region": {"name": "north", "limit": 7}}, reads))


@pytest.mark.parametrize(
    ("schema", "context", "reason"),
    [
        (Region, {"name": "north", "limt": 3}, "limt: there is no such field; did you mean 'limit'"),
        (Region, {"name": 3}, "name: Input should be a valid string"),
        (Region, None, "name: "),
        (Where, {"region": {"limit": 1}}, r"region\.name: Field required"),
        (None, {"name": "north"}, "the graph takes no context"),
    ],
)
def test_context_that_does_not_fit_is_refused(schema: Any, context: Any, reason: str) -> None:
    with pytest.raises(ProjectError, match=reason):
        register({"team": team(schema, context, join)})


def test_context_is_canonical_json_for_a_graph() -> None:
    with pytest.raises(InvalidInput, match=r"context: .*float"):
        agent("team", prompt="p", graph=lambda: None, context={"ratio": 0.5})
    with pytest.raises(InvalidInput, match="context is for the nodes of a graph"):
        agent("team", prompt="p", context={"name": "north"})
