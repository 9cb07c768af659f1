"""Graphs as nodes of graphs, on a real server: each inner node is an activity of its own, governed as any other."""

from __future__ import annotations

import operator
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langgraph.graph import START, MessagesState, StateGraph, add_messages
from langgraph.types import Command, Send, interrupt
from typing_extensions import TypedDict

from interlock.definitions import AgentDefinition, agent
from interlock.graph import chat_model, governed_tools, system_prompt

pytestmark = pytest.mark.temporal


class Words(TypedDict):
    task: str
    words: Annotated[list[str], operator.add]
    result: str


class Chat(MessagesState):
    result: str


def team(graph: Any, tools: tuple[str, ...] = ()) -> AgentDefinition:
    return agent("team", prompt="Be brief.", tools=tools, graph=lambda: graph)


def chain(state: Any, **nodes: Any) -> Any:
    """A graph whose nodes run one after another."""
    builder: Any = StateGraph(state)
    before = START
    for name, node in nodes.items():
        builder.add_node(name, node)
        builder.add_edge(before, name)
        before = name
    return builder


def activities(ran: Any) -> list[str]:
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in ran.history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]


def join(state: Any) -> dict[str, Any]:
    return {"result": " ".join(state["words"])}


async def test_inner_nodes_are_activities_of_their_own(drive_graph: Any) -> None:
    class Part(TypedDict):
        words: Annotated[list[str], operator.add]
        own: str

    def first(state: Part) -> dict[str, Any]:
        return {"own": "kept inside"}

    def second(state: Part) -> dict[str, Any]:
        return {"words": [state["own"]]}

    part = chain(Part, first=first, second=second).compile()
    ran = await drive_graph(team(chain(Words, part=part, join=join)))
    assert ran.text == "kept inside", ran.outcome
    assert activities(ran)[:3] == ["team.part.first", "team.part.second", "team.join"]


async def test_inner_agent_loop_is_governed(drive_graph: Any) -> None:
    """The model's replies and the calls of an inner loop are recorded like those of the agent's own."""

    async def think(state: Chat) -> dict[str, Any]:
        return {"messages": [await chat_model().ainvoke([system_prompt(), *state["messages"]])]}

    def on(state: Chat) -> str:
        last = state["messages"][-1]
        return "tools" if isinstance(last, AIMessage) and last.tool_calls else "__end__"

    loop: Any = StateGraph(Chat)
    loop.add_node("think", think)
    loop.add_node("tools", governed_tools())
    loop.add_edge(START, "think")
    loop.add_conditional_edges("think", on)
    loop.add_edge("tools", "think")

    def close(state: Chat) -> dict[str, Any]:
        return {"result": " ".join(m.text for m in state["messages"] if isinstance(m, ToolMessage))}

    turns = [{"say": "a", "calls": [{"tool": "look"}, {"tool": "forbidden"}]}, {"say": "end"}]
    graph = chain(Chat, loop=loop.compile(), close=close)
    ran = await drive_graph(team(graph, ("look", "forbidden")), playbook=turns)
    assert ran.text == "look answered forbidden answered", ran.outcome
    assert [call["tool"] for call in ran.seen["calls"]] == ["look", "forbidden"]
    assert (len(ran.seen["replies"]), ran.outcome.steps) == (2, 2)


async def test_questions_of_inner_graphs_are_answered_by_id(drive_graph: Any) -> None:
    class Part(TypedDict):
        words: Annotated[list[str], operator.add]

    def part(name: str) -> Any:
        def ask(state: Part) -> dict[str, Any]:
            return {"words": [f"{name}={interrupt(name)}{interrupt(name + ' again')}"]}

        deep = chain(Part, ask=ask).compile()
        return chain(Part, deep=deep).compile()

    def asks_too(state: Words) -> dict[str, Any]:
        return {"words": [f"c={interrupt('c')}"]}

    def close(state: Words) -> dict[str, Any]:
        return {"result": " ".join(sorted(state["words"]))}

    builder: Any = StateGraph(Words)
    builder.add_node("a", part("a"))
    builder.add_node("b", part("b"))
    builder.add_node("c", asks_too)
    builder.add_node("close", close)
    for name in "abc":
        builder.add_edge(START, name)
    builder.add_edge(["a", "b", "c"], "close")
    answers = {"a": "1", "a again": "2", "b": "3", "b again": "4", "c": "5"}
    ran = await drive_graph(team(builder), answers=answers)
    assert ran.text == "a=12 b=34 c=5", ran.outcome


async def test_inner_graphs_fan_out(drive_graph: Any) -> None:
    class Part(TypedDict):
        n: int
        words: Annotated[list[str], operator.add]

    def square(state: Part) -> dict[str, Any]:
        return {"words": [str(state["n"] ** 2)]}

    def spread(state: Words) -> list[Send]:
        return [Send("part", {"n": n}) for n in (3, 1, 2)]

    builder: Any = StateGraph(Words)
    builder.add_node("part", chain(Part, square=square).compile())
    builder.add_node("join", join)
    builder.add_conditional_edges(START, spread, ["part"])
    builder.add_edge("part", "join")
    ran = await drive_graph(team(builder))
    assert ran.text == "9 1 4", ran.outcome


async def test_inner_node_goes_on_in_the_outer_graph(drive_graph: Any) -> None:
    def leave(state: Words) -> Command[Any]:
        return Command(graph=Command.PARENT, goto="end", update={"words": ["left"]})

    def skipped(state: Words) -> dict[str, Any]:
        return {"words": ["skipped"]}

    builder: Any = StateGraph(Words)
    builder.add_node("part", chain(Words, leave=leave).compile(), destinations=("end",))
    builder.add_node("skipped", skipped)
    builder.add_node("end", join)
    builder.add_edge(START, "part")
    ran = await drive_graph(team(builder))
    assert ran.text == "left", ran.outcome


async def test_failure_of_an_inner_node_ends_the_agent(drive_graph: Any) -> None:
    def breaks(state: Words) -> dict[str, Any]:
        raise KeyError("no such thing")

    ran = await drive_graph(team(chain(Words, part=chain(Words, breaks=breaks).compile(), join=join)))
    assert ran.outcome.status == "failed"
    assert "team.part.breaks: KeyError" in ran.outcome.detail


async def test_inner_messages_have_the_same_ids_at_replay(drive_graph: Any) -> None:
    class Talk(TypedDict):
        messages: Annotated[list[AnyMessage], add_messages]
        result: str

    def speak(state: Talk) -> dict[str, Any]:
        return {"messages": [AIMessage("one"), AIMessage("two")]}

    def count(state: Talk) -> dict[str, Any]:
        return {"result": f"{len({m.id for m in state['messages']})}"}

    part: Any = StateGraph(Talk)
    part.add_node("speak", speak, metadata={"execute_in": "workflow"})
    part.add_edge(START, "speak")
    ran = await drive_graph(team(chain(Talk, one=part.compile(), two=part.compile(), count=count)))
    assert ran.text == "5", ran.outcome
