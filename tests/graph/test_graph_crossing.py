"""What a node may return: it crosses whole, or the error names the node, the key and the type."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Annotated, Any

import pytest
from langchain_core.messages import ToolMessage
from langgraph.config import get_store
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, Send
from pydantic import BaseModel
from typing_extensions import TypedDict

from interlock.definitions import AgentDefinition, agent
from interlock.errors import ProjectError
from interlock.graph.smoke import smoke


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Known(BaseModel):
    x: int


@dataclass
class Unknown:
    x: int


class State(TypedDict):
    task: str
    words: Annotated[list[Any], operator.add]
    colour: Colour
    level: Level
    known: Known
    result: str


def team(*nodes: Any, **places: str) -> AgentDefinition:
    def graph() -> Any:
        builder: Any = StateGraph(State)
        before = START
        for node in nodes:
            builder.add_node(node.__name__, node, metadata={"execute_in": places.get(node.__name__, "activity")})
            builder.add_edge(before, node.__name__)
            before = node.__name__
        return builder

    return agent("team", prompt="p", graph=graph)


@pytest.mark.temporal
async def test_numbers_enums_and_models_cross_whole(drive_graph: Any) -> None:
    def make(state: State) -> dict[str, Any]:
        odd = [math.inf, 2**70, 0.1, "é", {"$pairs": 1}]
        return {"words": odd, "colour": Colour.RED, "level": Level.HIGH, "known": Known(x=1)}

    def read(state: State) -> dict[str, Any]:
        assert state["words"] == [math.inf, 2**70, 0.1, "é", {"$pairs": 1}]
        assert state["colour"] is Colour.RED
        assert state["level"] is Level.HIGH
        assert state["known"] == Known(x=1)
        return {"result": "whole"}

    def again(state: State) -> dict[str, Any]:
        return read(state)

    ran = await drive_graph(team(make, read, again, read="workflow"))
    assert ran.text == "whole"


CANNOT: list[tuple[Callable[[], Any], str]] = [
    (lambda: {"words": [object()]}, r"state\.words\[0\]: a object cannot pass"),
    (lambda: {"words": [{"deep": b"bytes"}]}, r"state\.words\[0\]\.deep: a bytes cannot pass"),
    (lambda: {"words": [Unknown(1)]}, r"state\.words\[0\]: a Unknown .* no schema of the graph's state names"),
    (lambda: {"words": ["half \ud800"]}, r"state\.words\[0\]: a str holds half a character \(U\+D800\)"),
    (lambda: {"words": [ToolMessage("x", tool_call_id="c", artifact=open)]}, r"words\[0\]\.artifact: a builtin"),
    (lambda: Command(update={"known": iter([])}), r"state\.update\.known: a list_iterator cannot pass"),
    (lambda: Command(goto=[Send("end", {"n": {1: object()}})]), r"state\.goto\[0\]\.end\.n\.1: a object cannot"),
    (lambda: Command(goto=[Send("end", {}, timeout=5)]), r"goto\[0\]: timeout of a Send is LangGraph's"),
    (lambda: Command(goto="gone"), "it goes to 'gone', which is none of '__end__', 'end', 'wrong'"),
    (lambda: Command(goto=[Send("gone", {})]), "it goes to 'gone', which is none of 'end', 'wrong'"),
    (lambda: "text", "it returned a str, which is no update of the state"),
]


@pytest.mark.parametrize("place", ["activity", "workflow"])
@pytest.mark.parametrize(("returned", "reason"), CANNOT)
def test_what_cannot_pass_is_named(returned: Callable[[], Any], reason: str, place: str) -> None:
    def wrong(state: State) -> Any:
        return returned()

    def end(state: State) -> dict[str, Any]:
        return {}

    with pytest.raises(ProjectError, match=r"team: team\.wrong: .*" + reason):
        smoke(team(wrong, end, wrong=place))


@pytest.mark.temporal
async def test_no_update_ends_the_agent_the_same_at_replay(drive_graph: Any) -> None:
    """LangGraph would cancel the siblings in the order of a set."""

    def graph() -> Any:
        builder: Any = StateGraph(State)
        for name in ("a", "b", "c", "d"):
            builder.add_node(name, (lambda state: "text") if name == "c" else (lambda state: {"words": ["x"]}))
            builder.add_edge(START, name)
        return builder

    ran = await drive_graph(agent("team", prompt="p", graph=graph))
    assert ran.outcome.status == "failed"
    assert "team.c: it returned a str" in ran.outcome.detail


def nowhere(state: State) -> str:
    return "nowhere"


def sends(state: State) -> list[Send]:
    return [Send("gone", {})]


async def breaks(state: State) -> str:
    raise KeyError("no such word")


@pytest.mark.temporal
@pytest.mark.parametrize(
    ("edge", "ends", "reason"),
    [
        (nowhere, ["a"], "team.c: conditional edge nowhere: it goes to 'nowhere', which is none of 'a'"),
        (
            nowhere,
            None,
            "team.c: conditional edge nowhere: it goes to 'nowhere', which is none of "
            "'__end__', 'a', 'b', 'c', 'd'",
        ),
        (sends, None, "team.c: conditional edge sends: it goes to 'gone', which is none of 'a', 'b', 'c', 'd'"),
        (breaks, None, "team.c: conditional edge breaks: KeyError: 'no such word'"),
    ],
)
async def test_edge_that_fails_ends_the_agent_the_same_at_replay(
    drive_graph: Any, edge: Any, ends: Any, reason: str
) -> None:
    def graph() -> Any:
        builder: Any = StateGraph(State)
        for name in ("a", "b", "c", "d"):
            builder.add_node(name, lambda state: {"words": ["x"]})
            builder.add_edge(START, name)
        builder.add_conditional_edges("c", edge, ends)
        return builder

    ran = await drive_graph(agent("team", prompt="p", graph=graph))
    assert (ran.outcome.status, ran.outcome.detail) == ("failed", reason)


@pytest.mark.temporal
async def test_lost_object_is_not_tried_again(drive_graph: Any) -> None:
    def wrong(state: State) -> dict[str, Any]:
        return {"words": [Unknown(1)]}

    ran = await drive_graph(team(wrong))
    assert ran.outcome.status == "failed"
    assert "team.wrong: state.words[0]: a Unknown cannot pass" in ran.outcome.detail


def by_runtime(state: State, runtime: Runtime[None]) -> dict[str, Any]:
    assert runtime.store is not None
    return {"words": [runtime.store.get(("a",), "b")]}


async def by_function(state: State) -> dict[str, Any]:
    await get_store().aput(("a",), "b", {"c": 1})
    return {}


def by_parameter(state: State, *, store: Any) -> dict[str, Any]:
    return {}


@pytest.mark.parametrize("place", ["activity", "workflow"])
@pytest.mark.parametrize("node", [by_runtime, by_function, by_parameter])
def test_store_is_refused_with_the_reason(node: Any, place: str) -> None:
    with pytest.raises(
        ProjectError, match=rf"team\.{node.__name__}: .*a LangGraph Store does not reach activities"
    ):
        smoke(team(node, **{node.__name__: place}))


def test_store_in_an_edge_is_refused() -> None:
    def on(state: State, *, store: Any) -> str:
        return "__end__"

    def node(state: State) -> dict[str, Any]:
        return {}

    def graph() -> Any:
        builder: Any = StateGraph(State)
        builder.add_node("node", node)
        builder.add_edge(START, "node")
        builder.add_conditional_edges("node", on)
        return builder

    with pytest.raises(ProjectError, match=r"team\.node: parameter 'store' of a conditional edge is not to be had"):
        smoke(agent("team", prompt="p", graph=graph))
