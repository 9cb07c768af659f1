"""Which graphs are refused and why, and what the trial run of `interlock check` finds."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import CachePolicy, RetryPolicy, interrupt
from temporalio.common import RetryPolicy as TemporalRetryPolicy
from typing_extensions import TypedDict

from interlock.definitions import AgentDefinition, agent
from interlock.errors import ProjectError
from interlock.graph import chat_model, governed_tools, mermaid, register
from interlock.graph.beating import SILENCE
from interlock.graph.conclude import OPTIONS as CONCLUDE
from interlock.graph.smoke import smoke
from interlock.graph.turn import OPTIONS as TURN


class State(TypedDict):
    task: str
    words: Annotated[list[str], operator.add]
    result: str


def nothing(state: State) -> dict[str, Any]:
    return {}


def with_store(state: State, *, store: BaseStore) -> dict[str, Any]:
    return {}


def team(build: Callable[[Any], None], state: Any = State, tools: tuple[str, ...] = ()) -> AgentDefinition:
    """An agent with the graph that `build` fills."""

    def graph() -> Any:
        builder: Any = StateGraph(state)
        build(builder)
        return builder

    return agent("team", prompt="p", tools=tools, graph=graph)


def one(function: Any = nothing, **options: Any) -> AgentDefinition:
    """An agent with one node."""

    def build(builder: Any) -> None:
        builder.add_node("work", function, **options)
        builder.add_edge(START, "work")

    return team(build)


def compiled(node: Any = nothing, **options: Any) -> Any:
    builder: Any = StateGraph(State)
    builder.add_node("inner", node)
    builder.add_edge(START, "inner")
    return builder.compile(**options)


def calls_graph(graph: Any) -> Any:
    async def call(state: State) -> Any:
        return await graph.ainvoke(state)

    return call


async def slow(state: State) -> dict[str, Any]:
    return {}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (lambda: one(retry_policy=RetryPolicy()), r"temporalio\.common\.RetryPolicy"),
        (lambda: one(slow, timeout=5), "start_to_close_timeout"),
        (lambda: one(cache_policy=CachePolicy()), "cache_policy"),
        (lambda: one(error_handler=nothing), "error_handler"),
        (lambda: one(with_store), "'store' is not to be had"),
        (lambda: one(compiled(), metadata={"execute_in": "activity"}), "its own nodes say where they run"),
        (lambda: one(compiled(checkpointer=True)), "compiled with checkpointer: the run itself keeps the state"),
        (lambda: one(compiled(interrupt_before=["inner"])), "interrupt_before: nobody would be asked"),
        (lambda: one(compiled(store=InMemoryStore())), "compiled with store: a LangGraph Store does not reach"),
        (lambda: one(compiled(node=with_store)), r"team\.work\.inner: parameter 'store' is not to be had"),
        (lambda: one(calls_graph(compiled())), "it calls a compiled graph"),
        (lambda: one(RunnablePassthrough() | compiled()), "it calls a compiled graph"),
        (lambda: one(metadata={"execute_in": "moon"}), "'activity' or 'workflow'"),
        (lambda: one(RunnablePassthrough(), metadata={"execute_in": "workflow"}), "cannot run in the workflow"),
        (lambda: team(lambda b: b.add_node("work", nothing)), "entrypoint"),
        (lambda: team(lambda b: b.add_edge(START, "gone")), "gone"),
        (lambda: agent("team", prompt="p", graph=lambda: 1 / 0), "ZeroDivisionError"),
        (lambda: agent("team", prompt="p", graph=lambda: None), "NoneType"),
        (lambda: agent("team", prompt="p", graph=compiled), r"leave out \.compile"),
    ],
)
def test_graph_that_cannot_work_is_refused(found: Callable[[], AgentDefinition], reason: str) -> None:
    with pytest.raises(ProjectError, match=reason):
        register({"team": found()})


def test_defaults_for_nodes_are_refused() -> None:
    def build(builder: Any) -> None:
        builder.set_node_defaults(retry_policy=RetryPolicy())
        builder.add_node("work", nothing)
        builder.add_edge(START, "work")

    with pytest.raises(ProjectError, match="set_node_defaults"):
        register({"team": team(build)})


def test_edge_must_be_a_function() -> None:
    def build(builder: Any) -> None:
        builder.add_node("work", nothing)
        builder.add_edge(START, "work")
        builder.add_conditional_edges("work", RunnablePassthrough() | RunnableLambda(lambda _: END), ["work", END])

    with pytest.raises(ProjectError, match=r"team\.work: the path of a conditional edge must be a function"):
        register({"team": team(build)})


def test_every_reason_is_given_with_its_place() -> None:
    def build(builder: Any) -> None:
        builder.add_node("first", with_store)
        builder.add_node("second", nothing, retry_policy=RetryPolicy())
        builder.add_edge(START, "first")
        builder.add_edge("first", "second")

    with pytest.raises(ProjectError) as caught:
        register({"team": team(build), "fine": agent("fine", prompt="p")})
    assert len(caught.value.problems) == 2
    assert all(problem.startswith(f"{__file__}:") for problem in caught.value.problems)


def test_authors_graph_is_left_as_it_is() -> None:
    shared: Any = StateGraph(State)
    shared.add_node("work", nothing)
    shared.add_edge(START, "work")
    definition, before = agent("team", prompt="p", graph=lambda: shared), shared.nodes["work"].runnable
    register({"team": definition})
    register({"team": definition})
    assert shared.nodes["work"].runnable is before
    assert shared.nodes["work"].metadata is None


def test_authors_activity_options_stay() -> None:
    policy = TemporalRetryPolicy(maximum_attempts=2)
    options = {"start_to_close_timeout": timedelta(seconds=7), "retry_policy": policy}
    metadata = register({"team": one(metadata=options)})["team"].nodes["work"].metadata
    assert metadata is not None
    assert (metadata["execute_in"], metadata["start_to_close_timeout"].seconds) == ("activity", 7)
    assert metadata["retry_policy"] is policy


def test_killed_worker_holds_no_node_up() -> None:
    """Its node is begun again when nothing is heard of it, not when its whole time is over."""
    metadata = register({"team": one()})["team"].nodes["work"].metadata
    assert metadata is not None
    for options in (metadata, TURN, CONCLUDE):
        assert options["heartbeat_timeout"] == SILENCE < options["start_to_close_timeout"]


def test_standard_loop_passes_its_trial() -> None:
    assert "model -.-> act" in smoke(agent("team", prompt="p", tools=["look"]))
    assert smoke(agent("team", prompt="p"))


def test_picture_names_every_node() -> None:
    drawn = mermaid(register({"team": one()})["team"])
    assert drawn.startswith(("---", "graph"))
    assert "work" in drawn


def test_loop_that_never_ends_is_found() -> None:
    """The edge looks for a class that no message has."""

    async def think(state: Any) -> dict[str, Any]:
        return {"messages": [await chat_model().ainvoke(state["messages"])]}

    def build(builder: Any) -> None:
        builder.add_node("think", think)
        builder.add_node("tools", governed_tools())
        builder.add_edge(START, "think")
        builder.add_conditional_edges("think", lambda s: END if isinstance(s["messages"][-1], dict) else "tools")
        builder.add_edge("tools", "think")

    with pytest.raises(ProjectError, match="did not end"):
        smoke(team(build, MessagesState, ("look",)))


def test_endless_python_loop_is_found() -> None:
    ends = time.monotonic() + 3

    def spin(state: State) -> dict[str, Any]:
        while time.monotonic() < ends:
            pass
        return {}

    with pytest.raises(ProjectError, match=r"did not end within 0\.3 s"):
        smoke(one(spin, metadata={"execute_in": "workflow"}), time_s=0.3)


def test_thread_in_workflow_code_is_found() -> None:
    async def threads(state: State) -> dict[str, Any]:
        import asyncio

        return await asyncio.to_thread(nothing, state)

    with pytest.raises(ProjectError, match="a workflow has none"):
        smoke(one(threads, metadata={"execute_in": "workflow"}))
    assert smoke(one(threads))


def test_edge_to_nowhere_is_found() -> None:
    def build(builder: Any) -> None:
        builder.add_node("work", nothing)
        builder.add_edge(START, "work")
        builder.add_conditional_edges("work", lambda state: "gone", {"back": "work"})

    with pytest.raises(ProjectError, match="gone"):
        smoke(team(build))


def test_state_that_cannot_cross_is_found() -> None:
    with pytest.raises(ProjectError, match=r"state\.words: a object cannot pass"):
        smoke(one(lambda state: {"words": object()}))


def test_model_call_in_workflow_is_found() -> None:
    async def think(state: Any) -> dict[str, Any]:
        return {"messages": [await chat_model().ainvoke("x")]}

    def build(builder: Any) -> None:
        builder.add_node("think", think, metadata={"execute_in": "workflow"})
        builder.add_edge(START, "think")

    with pytest.raises(ProjectError, match="nothing records it"):
        smoke(team(build, MessagesState))


def test_trial_does_not_judge_answers() -> None:
    """Nobody gave a real answer, so what comes after a question proves nothing."""

    def ask(state: State) -> dict[str, Any]:
        return {"result": interrupt("which?")["key"]}

    assert smoke(one(ask))


def test_tools_node_needs_a_reply() -> None:
    def build(builder: Any) -> None:
        builder.add_node("tools", governed_tools())
        builder.add_edge(START, "tools")

    with pytest.raises(ProjectError, match="the last message is not a model's reply"):
        smoke(team(build, MessagesState))


def test_tools_node_reads_another_key() -> None:
    class Other(MessagesState):
        chat: Annotated[list[Any], operator.add]

    def speak(state: Any) -> dict[str, Any]:
        call = {"name": "look", "args": {}, "id": "1", "type": "tool_call"}
        return {"chat": [AIMessage("x", tool_calls=[call])]}

    def check(state: Any) -> dict[str, Any]:
        assert [type(m).__name__ for m in state["chat"]] == ["AIMessage", "ToolMessage"]
        return {}

    def build(builder: Any) -> None:
        builder.add_sequence([speak, ("tools", governed_tools("chat")), check])
        builder.add_edge(START, "speak")

    assert smoke(team(build, Other, ("look",)))
