"""What goes wrong with graphs in workflows, each tried on a real server. No run is cached, so every workflow task
replays its run from the first event; afterwards the whole history is replayed once more in another worker's place.
"""

from __future__ import annotations

import operator
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, Overwrite, Send, interrupt
from pydantic import BaseModel
from temporalio.exceptions import ApplicationError
from typing_extensions import TypedDict

from interlock.definitions import AgentDefinition, agent
from interlock.graph import chat_model, governed_tools, system_prompt

pytestmark = pytest.mark.temporal

RAN: Counter[str] = Counter()
"""How often a node's body ran, by a name that its test alone uses."""


class Words(TypedDict):
    task: str
    words: Annotated[list[str], operator.add]
    result: Any


def chain(*nodes: Any, state: Any = Words, **places: str) -> AgentDefinition:
    """An agent whose nodes run one after another."""

    def graph() -> Any:
        builder: Any = StateGraph(state)
        previous = START
        for node in nodes:
            place = {"metadata": {"execute_in": places[node.__name__]}} if node.__name__ in places else {}
            builder.add_node(node.__name__, node, **place)
            builder.add_edge(previous, node.__name__)
            previous = node.__name__
        builder.add_edge(previous, END)
        return builder

    return agent("team", prompt="Be brief.", graph=graph)


def side_by_side(*nodes: Any, end: Any, **places: str) -> AgentDefinition:
    """An agent whose nodes run at once, and one after them."""

    def graph() -> Any:
        builder: Any = StateGraph(Words)
        builder.add_node("end", end)
        for node in nodes:
            place = {"metadata": {"execute_in": places[node.__name__]}} if node.__name__ in places else {}
            builder.add_node(node.__name__, node, **place)
            builder.add_edge(START, node.__name__)
        builder.add_edge([node.__name__ for node in nodes], "end")
        builder.add_edge("end", END)
        return builder

    return agent("team", prompt="Be brief.", graph=graph)


def join(state: Words) -> dict[str, Any]:
    return {"result": " ".join(state["words"])}


async def test_synchronous_edges_work(drive_graph: Any) -> None:
    class Decide:
        def __call__(self, state: Words) -> str:
            return "right" if len(state["words"]) > 1 else "left"

    def to_end(state: Words) -> str:
        return END

    def left(state: Words) -> dict[str, Any]:
        return {"words": ["left"]}

    def right(state: Words) -> dict[str, Any]:
        return {"result": " ".join([*state["words"], "right"])}

    def graph() -> Any:
        builder: Any = StateGraph(Words)
        builder.add_node("left", left)
        builder.add_node("right", right)
        builder.add_conditional_edges(START, lambda state: "left")
        builder.add_conditional_edges("left", Decide(), {"left": "left", "right": "right"})
        builder.add_conditional_edges("right", RunnableLambda(to_end, name="to_end"))
        return builder

    ran = await drive_graph(agent("team", prompt="p", graph=graph))
    assert (ran.outcome.status, ran.text) == ("completed", "left left right")


async def test_edge_may_read_config(drive_graph: Any) -> None:
    def start(state: Words) -> dict[str, Any]:
        return {"words": ["a"]}

    def to_end(state: Words, config: RunnableConfig) -> str:
        return "join" if config["configurable"]["thread_id"] else "start"

    def graph() -> Any:
        builder: Any = StateGraph(Words)
        builder.add_node("start", start)
        builder.add_node("join", join)
        builder.add_edge(START, "start")
        builder.add_conditional_edges("start", to_end, ["start", "join"])
        return builder

    assert (await drive_graph(agent("team", prompt="p", graph=graph))).text == "a"


def latest(old: list[AnyMessage], new: list[AnyMessage]) -> list[AnyMessage]:
    """A reducer that looks at the class of each message."""
    assert all(isinstance(m, (HumanMessage, AIMessage, ToolMessage)) for m in [*old, *new])
    return [*old, *new]


class Talk(TypedDict):
    messages: Annotated[list[AnyMessage], latest]
    result: str


async def test_messages_are_messages_in_reducers(drive_graph: Any) -> None:
    def speak(state: Any) -> dict[str, Any]:
        return {"messages": [AIMessage("hello", id="x"), ToolMessage("t", tool_call_id="c", id="y")]}

    def name(state: Any) -> dict[str, Any]:
        return {"result": ",".join(type(m).__name__ for m in state["messages"])}

    ran = await drive_graph(chain(speak, name, state=Talk))
    assert ran.text == "HumanMessage,AIMessage,ToolMessage", ran.outcome


async def test_messages_are_removed_by_id_at_replay(drive_graph: Any) -> None:
    """LangGraph gives messages random ids in the workflow; a removal by such an id would fail at replay."""

    class State(MessagesState):
        result: str

    def in_activity(state: Any) -> dict[str, Any]:
        return {"messages": "a text becomes a message"}

    def in_workflow(state: Any) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": "so does an object"}]}

    def remove(state: Any) -> dict[str, Any]:
        return {"messages": [RemoveMessage(id=m.id) for m in state["messages"]] + [AIMessage("only this")]}

    def count(state: Any) -> dict[str, Any]:
        return {"result": f"{len(state['messages'])} {state['messages'][0].text}"}

    ran = await drive_graph(
        chain(in_activity, in_workflow, remove, count, state=State, in_workflow="workflow", count="workflow")
    )
    assert ran.text == "1 only this", ran.outcome


async def test_second_interrupt_keeps_first_answer(drive_graph: Any) -> None:
    """An activity cannot store the answers that it was given."""

    def ask(state: Words) -> dict[str, Any]:
        first = interrupt("name?")
        second = interrupt(f"age of {first}?")
        return {"words": [first, str(second), str(interrupt("sure?"))]}

    answers = {"name?": "ada", "age of ada?": 36, "sure?": None}
    ran = await drive_graph(chain(ask, join), answers=answers)
    assert ran.text == "ada 36 None", ran.outcome
    assert ran.seen["questions"] == ["name?", "age of ada?", "sure?"]


async def test_interrupts_at_once_are_answered_by_id(drive_graph: Any) -> None:
    """Ids that an activity made belong to the first run of the workflow code, not to the replayed one."""

    def a(state: Words) -> dict[str, Any]:
        return {"words": ["a=" + interrupt("a?")]}

    def b(state: Words) -> dict[str, Any]:
        return {"words": ["b=" + interrupt("b?")]}

    async def c(state: Words) -> dict[str, Any]:
        return {"words": ["c=" + interrupt("c?") + interrupt("more?")]}

    answers = {"a?": "1", "b?": "2", "c?": "3", "more?": "!"}
    ran = await drive_graph(side_by_side(a, b, c, end=join, b="workflow"), answers=answers)
    assert ran.text == "a=1 b=2 c=3!", ran.outcome


async def test_answer_that_does_not_fit_is_asked_again(drive_graph: Any) -> None:
    class Severity(BaseModel):
        level: int

    def ask(state: Words) -> dict[str, Any]:
        answer = interrupt("how bad?", response_schema=Severity)
        return {"words": [f"{type(answer).__name__} {answer.level}"]}

    answers = {"*": ["very", '{"level": "high"}', '{"level": 3}']}
    ran = await drive_graph(chain(ask, join), answers=answers)
    assert ran.text == "Severity 3", ran.outcome
    assert [question.get("problem", "")[:10] for question in ran.seen["questions"]] == [
        "",
        "The answer",
        "The answer",
    ]


async def test_same_input_runs_node_again(drive_graph: Any) -> None:
    """The plugin would answer the second time from its memory, without running the node."""

    def tick(state: Any) -> dict[str, Any]:
        RAN["tick"] += 1
        return {}

    def done(state: Any) -> str:
        return END if RAN["tick"] else "tick"

    class Nothing(TypedDict):
        task: str

    def graph() -> Any:
        builder: Any = StateGraph(Nothing)
        for name in ("tick", "tock"):
            builder.add_node(name, tick)
        builder.add_edge(START, "tick")
        builder.add_edge("tick", "tock")
        builder.add_edge("tock", END)
        return builder

    await drive_graph(agent("team", prompt="p", graph=graph))
    assert RAN["tick"] == 2


async def test_failure_beside_others_is_the_same_at_replay(drive_graph: Any) -> None:
    """LangGraph would cancel the siblings in the order of a set."""

    def good(state: Words) -> dict[str, Any]:
        return {"words": ["good"]}

    def better(state: Words) -> dict[str, Any]:
        return {"words": ["better"]}

    def bad(state: Words) -> dict[str, Any]:
        raise KeyError("no such thing")

    def worse(state: Words) -> dict[str, Any]:
        RAN["worse"] += 1
        raise ApplicationError("worse", non_retryable=True)

    ran = await drive_graph(side_by_side(good, bad, better, worse, end=join))
    assert ran.outcome.status == "failed"
    assert "team.bad: KeyError" in ran.outcome.detail
    assert RAN["worse"] == 1


async def test_broken_workflow_node_ends_agent(drive_graph: Any) -> None:
    """An exception in workflow code would otherwise be retried for ever."""

    def broken(state: Words) -> dict[str, Any]:
        return {"words": state["nothing"]}  # type: ignore[typeddict-item]

    ran = await drive_graph(chain(broken, join, broken="workflow"))
    assert ran.outcome.status == "failed"
    assert "nothing" in ran.outcome.detail


async def test_passing_error_is_tried_again(drive_graph: Any) -> None:
    def flaky(state: Words) -> dict[str, Any]:
        RAN["flaky"] += 1
        if RAN["flaky"] == 1:
            raise ConnectionError("try later")
        return {"words": ["there"]}

    ran = await drive_graph(chain(flaky, join))
    assert (ran.text, RAN["flaky"]) == ("there", 2)


async def test_lasting_error_is_not_tried_again(drive_graph: Any) -> None:
    def wrong(state: Words) -> dict[str, Any]:
        RAN["wrong"] += 1
        return {"words": object()}

    ran = await drive_graph(chain(wrong, join))
    assert (ran.outcome.status, RAN["wrong"]) == ("failed", 1)
    assert "state.words: a object cannot pass" in ran.outcome.detail


class Point(BaseModel):
    x: int
    at: datetime
    price: Decimal


@dataclass
class Holder:
    task: str = ""
    points: list[Point] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)
    pair: tuple[int, str] = (0, "")
    words: Annotated[list[str], operator.add] = field(default_factory=list)
    result: str = ""


async def test_models_of_the_schema_cross(drive_graph: Any) -> None:
    when = datetime(2026, 1, 2, tzinfo=UTC)

    def make(state: Holder) -> dict[str, Any]:
        assert isinstance(state, Holder)
        return {"points": [Point(x=1, at=when, price=Decimal("1.10"))], "tags": {"a"}, "pair": (1, "b")}

    def use(state: Holder) -> Holder:
        (point,) = state.points
        assert isinstance(point, Point)
        assert (point.at, state.tags, state.pair) == (when, {"a"}, (1, "b"))
        return Holder(words=["used"], points=state.points)

    def tell(state: Holder) -> dict[str, Any]:
        return {"result": f"{state.points[0].price} {state.words}"}

    ran = await drive_graph(chain(make, use, tell, state=Holder, use="workflow"))
    assert ran.outcome.status == "completed", ran.outcome
    assert ran.text == "1.10 ['used']", ran.outcome


async def test_commands_and_sends_cross(drive_graph: Any) -> None:
    def start(state: Words) -> Command[Any]:
        return Command(goto=[Send("work", {"n": n}) for n in (3, 1, 2)], update={"words": ["start"]})

    def work(state: Any) -> dict[str, Any]:
        return {"words": [str(state["n"])]}

    def replace(state: Words) -> dict[str, Any]:
        return {"words": Overwrite(["|".join(state["words"])])}

    def graph() -> Any:
        builder: Any = StateGraph(Words)
        builder.add_node("start", start, destinations=("work",))
        builder.add_node("work", work)
        builder.add_node("replace", replace)
        builder.add_node("join", join)
        builder.add_edge(START, "start")
        builder.add_edge("work", "replace")
        builder.add_edge("replace", "join")
        return builder

    assert (await drive_graph(agent("team", prompt="p", graph=graph))).text == "start|3|1|2"


async def test_runnable_is_a_node(drive_graph: Any) -> None:
    double = RunnableLambda(lambda state: state["task"] * 2) | RunnableLambda(lambda text: {"words": [text]})

    def graph() -> Any:
        builder: Any = StateGraph(Words)
        builder.add_node("double", double)
        builder.add_node("join", join)
        builder.add_edge(START, "double")
        builder.add_edge("double", "join")
        return builder

    assert (await drive_graph(agent("team", prompt="p", graph=graph), "ab")).text == "abab"


async def test_object_is_the_graphs_input(drive_graph: Any) -> None:
    ran = await drive_graph(chain(join), {"words": ["x", "y"]})
    assert ran.text == "x y"


async def test_task_that_does_not_fit_is_refused(drive_graph: Any) -> None:
    class Other(TypedDict):
        url: str

    def nothing(state: Any) -> dict[str, Any]:
        return {}

    ran = await drive_graph(chain(nothing, state=Other), "a text")
    assert ran.outcome.status == "failed"
    assert "input keys are: url" in ran.outcome.detail


class Chat(MessagesState):
    result: str


def _wants_tools(state: Any) -> str:
    return "tools" if state["messages"][-1].tool_calls else END


async def _think(state: Any) -> dict[str, Any]:
    return {"messages": [await chat_model().ainvoke([system_prompt(), *state["messages"]])]}


def chatting(think: Any = _think) -> AgentDefinition:
    """An agent with a loop of its own."""

    def graph() -> Any:
        builder: Any = StateGraph(Chat)
        builder.add_node("think", think)
        builder.add_node("tools", governed_tools())
        builder.add_edge(START, "think")
        builder.add_conditional_edges("think", _wants_tools, ["tools", END])
        builder.add_edge("tools", "think")
        return builder

    return agent("team", prompt="Be brief.", tools=["look", "forbidden", "silent"], graph=graph)


async def test_calls_are_answered_by_id(drive_graph: Any) -> None:
    """The gate of this test answers backwards, and one call not at all."""
    turns = [
        {"say": "a", "calls": [{"tool": "look"}, {"tool": "silent"}, {"tool": "forbidden"}, {"tool": "look"}]},
        {"say": "end"},
    ]
    ran = await drive_graph(chatting(), playbook=turns)
    assert ran.text == "end"
    link = ran.blobs.get(ran.seen["replies"][1]["before"]).decode()
    assert [call["tool"] for call in ran.seen["calls"]] == ["look", "silent", "forbidden", "look"]
    assert "look answered" in link


async def test_replies_of_own_graphs_are_recorded(drive_graph: Any) -> None:
    turns = [{"say": "a", "calls": [{"tool": "look", "arguments": {"x": 1}}]}, {"say": "end"}]
    ran = await drive_graph(chatting(), playbook=turns)
    first, second = ran.seen["replies"]
    assert [first["model"], second["model"]] == ["scripted", "scripted"]
    assert [call["tool"] for call in first["calls"]] == ["look"]
    assert ran.blobs.get(first["calls"][0]["arguments"]) == b'{"x":1}'
    assert b'"data":{"additional_kwargs":{},"content":"a"' in ran.blobs.get(first["head"])
    assert ran.outcome.steps == 2
    assert ran.blobs.has(first["before"])
    assert ran.blobs.has(second["before"])


async def test_foreign_agents_model_is_refused(drive_graph: Any) -> None:
    async def think(state: Any) -> dict[str, Any]:
        return {"messages": [await chat_model("fixer").ainvoke("hello")]}

    ran = await drive_graph(chatting(think))
    assert ran.outcome.status == "failed"
    assert "may not use the model of agent 'fixer'" in ran.outcome.detail


async def test_model_in_workflow_code_is_refused(drive_graph: Any) -> None:
    """Nothing would record its reply, and a workflow does no I/O."""

    def graph() -> Any:
        builder: Any = StateGraph(Chat)
        builder.add_node("think", _think, metadata={"execute_in": "workflow"})
        builder.add_edge(START, "think")
        return builder

    ran = await drive_graph(agent("team", prompt="p", graph=graph))
    assert ran.outcome.status == "failed"
    assert "nothing records it" in ran.outcome.detail


async def test_spent_budget_ends_agent(drive_graph: Any) -> None:
    """A loop of model replies ends where the gate says so."""
    turns = [{"say": "again", "calls": [{"tool": "look"}]} for _ in range(12)]

    async def think(state: Any) -> dict[str, Any]:
        last = [await chat_model().ainvoke("x") for _ in range(60)]
        return {"messages": last[-1:]}

    ran = await drive_graph(chatting(think), playbook=turns, cached=100, again=False)
    assert ran.outcome.status == "failed"
    assert ran.outcome.detail == "max_steps"
