"""A graph goes on in another execution of its workflow, wherever it was cut, as if it had not been."""

from __future__ import annotations

import operator
from collections import Counter
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langgraph.graph import END, START, MessagesState, StateGraph, add_messages
from langgraph.types import Command, Send, interrupt
from pydantic import BaseModel
from support.cut import Record, run_cut
from typing_extensions import TypedDict

from interlock.definitions import AgentDefinition, agent
from interlock.errors import InvalidInput, Refused
from interlock.graph import AgentOutcome, chat_model, governed_tools, register, system_prompt
from interlock.graph.prepare import types_in
from interlock.graph.saver import StateSerde

RAN: Counter[str] = Counter()
"""How often each node of the run at hand ran as an activity."""
Ran = tuple[AgentOutcome, Record, str]

TURNS = [("both", ["look", "note"]), ("one", ["look"]), ("none", [])]


def standard() -> AgentDefinition:
    return agent("team", prompt="Be brief.", tools=["look", "note"])


def graph_of(state: Any, *edges: tuple[Any, Any], **nodes: Any) -> AgentDefinition:
    """An agent with a graph of these nodes; a function that is an edge's target says where to go."""

    def build() -> Any:
        builder: Any = StateGraph(state)
        for name, node in nodes.items():
            function, place = node if isinstance(node, tuple) else (node, "activity")
            builder.add_node(name, function, metadata={"execute_in": place})
        for source, target in edges:
            if callable(target):
                builder.add_conditional_edges(source, target)
            else:
                builder.add_edge(source, target)
        return builder

    return agent("team", prompt="Be brief.", tools=["look", "note"], graph=build)


class Chat(MessagesState):
    result: str


async def think(state: Chat) -> dict[str, Any]:
    RAN["think"] += 1
    return {"messages": [await chat_model().ainvoke([system_prompt(), *state["messages"]])]}


def tell(state: Chat) -> dict[str, Any]:
    """Texts and ids of all messages whose ids follow from their place."""
    named = [m for m in state["messages"] if isinstance(m, ToolMessage)]
    return {"result": " ".join(f"{m.text}={m.id}" for m in named)}


def loop() -> AgentDefinition:
    def on(state: Chat) -> str:
        last = state["messages"][-1]
        return "tools" if isinstance(last, AIMessage) and last.tool_calls else "tell"

    return graph_of(
        Chat,
        (START, "think"),
        ("think", on),
        ("tools", "think"),
        ("tell", END),
        think=think,
        tools=(governed_tools(), "workflow"),
        tell=(tell, "workflow"),
    )


class Branch(TypedDict):
    name: str
    calls: Annotated[list[AnyMessage], add_messages]
    answer: str


class Fan(TypedDict):
    task: str
    notes: Annotated[list[str], operator.add]
    calls: Annotated[list[AnyMessage], add_messages]
    result: str


def fan() -> AgentDefinition:
    """Branches that call a tool, a node beside them, and one after them all."""

    def spread(state: Fan) -> list[Send]:
        return [Send("branch", {"calls": [_calling("look", name)], "name": name}) for name in "abc"]

    def start(state: Fan) -> dict[str, Any]:
        RAN["start"] += 1
        return {"notes": ["start"]}

    def quiet(state: Fan) -> dict[str, Any]:
        RAN["quiet"] += 1
        return {"notes": ["quiet"]}

    def join(state: Fan) -> dict[str, Any]:
        RAN["join"] += 1
        return {"result": " ".join([*sorted(state["notes"]), *sorted(m.text for m in state["calls"])])}

    return graph_of(
        Fan,
        (START, "start"),
        ("start", spread),
        ("start", "quiet"),
        (["branch", "quiet"], "join"),
        ("join", END),
        start=start,
        branch=(governed_tools("calls"), "workflow"),
        quiet=quiet,
        join=join,
    )


def _calling(tool: str, name: str) -> AIMessage:
    return AIMessage("", id=f"m{name}", tool_calls=[{"name": tool, "args": {}, "id": f"c{name}"}])


class Words(TypedDict):
    task: str
    words: Annotated[list[str], operator.add]
    calls: Annotated[list[AnyMessage], add_messages]
    result: str


class Level(BaseModel):
    level: int


def questions() -> AgentDefinition:
    """Some in the workflow, some in activities, one after a call, one that is answered wrongly first."""

    def here(state: Words) -> dict[str, Any]:
        return {"words": [f"{interrupt('a')}{interrupt('b')}"]}

    def there(state: Words) -> dict[str, Any]:
        RAN["there"] += 1
        return {"words": [f"{interrupt('c')}{interrupt('d')}"]}

    async def after_call(state: Words) -> dict[str, Any]:
        called = await governed_tools("calls")({"calls": [_calling("look", "x")]})
        return {"words": [interrupt("e")], **called}

    def level(state: Words) -> dict[str, Any]:
        RAN["level"] += 1
        return {"words": [str(interrupt("f", response_schema=Level).level)]}

    def plain(state: Words) -> dict[str, Any]:
        RAN["plain"] += 1
        return {"words": ["plain"]}

    def join(state: Words) -> dict[str, Any]:
        RAN["join"] += 1
        return {"result": " ".join([*sorted(state["words"]), *(m.text for m in state["calls"])])}

    nodes = {"here": (here, "workflow"), "there": there, "after_call": (after_call, "workflow")}
    nodes |= {"level": level, "plain": plain}
    edges = [(START, name) for name in nodes]
    return graph_of(Words, *edges, (list(nodes), "join"), ("join", END), **nodes, join=join)


ANSWERS = {"a": "1", "b": "2", "c": "3", "d": "4", "e": "5", "f": "very", "f again": '{"level": 7}'}


def commands() -> AgentDefinition:
    def start(state: Words) -> Command[Any]:
        RAN["start"] += 1
        return Command(goto="middle", update={"words": ["start"]})

    def middle(state: Words) -> Command[Any]:
        return Command(goto=[Send("leaf", {"n": 1}), Send("leaf", {"n": 2})], update={"words": ["middle"]})

    def leaf(state: Any) -> dict[str, Any]:
        RAN[f"leaf{state['n']}"] += 1
        return {"words": [f"leaf{state['n']}"]}

    def end(state: Words) -> dict[str, Any]:
        return {"result": " ".join(state["words"])}

    nodes = {"start": start, "middle": (middle, "workflow"), "leaf": leaf, "end": (end, "workflow")}
    return graph_of(Words, (START, "start"), ("leaf", "end"), ("end", END), **nodes)


def failing() -> AgentDefinition:
    """A node fails while another waits for its call."""

    def fails(state: Words) -> dict[str, Any]:
        RAN["fails"] += 1
        raise ValueError("no such thing")

    async def calls_on(state: Words) -> dict[str, Any]:
        called: dict[str, Any] = await governed_tools("calls")({"calls": [_calling("look", "x")]})
        return called

    return graph_of(Words, (START, "fails"), (START, "calls_on"), fails=fails, calls_on=(calls_on, "workflow"))


class Part(TypedDict):
    words: Annotated[list[str], operator.add]
    calls: Annotated[list[AnyMessage], add_messages]
    hidden: str


def inner() -> AgentDefinition:
    """Two graphs as nodes, side by side; one is also in a third."""

    def part(name: str) -> Any:
        async def calls_on(state: Part) -> dict[str, Any]:
            called: dict[str, Any] = await governed_tools("calls")({"calls": [_calling("look", name)]})
            return called

        def count(state: Part) -> dict[str, Any]:
            RAN[f"count {name}"] += 1
            return {"hidden": name}

        def ask(state: Part) -> dict[str, Any]:
            return {"words": [state["hidden"] + interrupt(name)]}

        builder: Any = StateGraph(Part)
        for key, node, place in [("calls_on", calls_on, "workflow"), ("count", count, "activity")]:
            builder.add_node(key, node, metadata={"execute_in": place})
            builder.add_edge(START, key)
        builder.add_node("ask", ask)
        builder.add_edge(["calls_on", "count"], "ask")
        return builder

    deep: Any = StateGraph(Part)
    deep.add_node("a", part("a").compile())
    deep.add_edge(START, "a")

    def join(state: Words) -> dict[str, Any]:
        return {
            "result": " ".join([*sorted(state["words"]), *sorted(f"{m.text}{m.id}" for m in state["calls"][1::2])])
        }

    nodes = {
        "deep": (deep.compile(), "workflow"),
        "b": (part("b").compile(), "workflow"),
        "join": (join, "workflow"),
    }
    return graph_of(Words, (START, "deep"), (START, "b"), (["deep", "b"], "join"), ("join", END), **nodes)


def stubborn() -> AgentDefinition:
    """A node that takes whatever stops it for a result."""

    async def calls_on(state: Words) -> dict[str, Any]:
        try:
            called = await governed_tools("calls")({"calls": [_calling("look", "x")]})
        except Exception:
            return {"words": ["caught"]}
        return {"words": [m.text for m in called["calls"]]}

    def end(state: Words) -> dict[str, Any]:
        return {"result": " ".join(state["words"])}

    nodes = {"calls_on": (calls_on, "workflow"), "end": (end, "workflow")}
    return graph_of(Words, (START, "calls_on"), ("calls_on", "end"), ("end", END), **nodes)


# Name: agent, what it is run with, beginning of its result, looks after which each execution drains.
CASES: dict[str, tuple[Any, dict[str, Any], str, int]] = {
    "standard loop": (standard, {"turns": TURNS}, "none", 3),
    "loop of one's own": (loop, {"turns": TURNS}, "look 1", 3),
    "fan-out": (fan, {}, "quiet start look 1 look 1 look 1", 6),
    "questions": (questions, {"answers": ANSWERS}, "12 34 5 7 plain look 1", 8),
    "commands": (commands, {}, "start middle leaf1 leaf2", 3),
    "stubborn node": (stubborn, {}, "look 1", 3),
    "graphs in graphs": (inner, {"answers": ANSWERS}, "a1 b2 look 1", 12),
    "failure": (failing, {}, "", 3),
}


async def _ran(case: str, drains: Any = lambda run, here: False) -> tuple[Ran, dict[str, int]]:
    make, options, _, _ = CASES[case]
    RAN.clear()
    return await run_cut(make(), drains, **options), dict(RAN)


def _same(cut: tuple[Ran, dict[str, int]], whole: tuple[Ran, dict[str, int]]) -> None:
    (outcome, record, text), ran = cut
    (expected, uncut, said), ran_uncut = whole
    assert (outcome.status, outcome.detail, outcome.steps) == (expected.status, expected.detail, expected.steps)
    assert text == said
    assert ran == ran_uncut
    assert record.replies == uncut.replies
    assert record.done == uncut.done
    assert record.asked == uncut.asked
    assert set(record.done.values()) <= {1}


@pytest.mark.parametrize("case", CASES)
async def test_cut_anywhere_changes_nothing(case: str) -> None:
    whole = await _ran(case)
    (_, record, text), _ = whole
    assert text.startswith(CASES[case][2])
    for at in range(1, record.looks + 1):
        cut = await _ran(case, lambda run, here, at=at: run == at)
        assert cut[0][1].executions == 2, f"look {at} of {record.looks}"
        _same(cut, whole)


@pytest.mark.parametrize("case", CASES)
async def test_cut_again_and_again_changes_nothing(case: str) -> None:
    """Each execution gets little further than the one before."""
    cut = await _ran(case, lambda run, here: here == CASES[case][3])
    assert cut[0][1].executions > 1
    _same(cut, await _ran(case))


async def test_standard_loops_state_does_not_grow() -> None:
    turns = [(f"turn {number}", ["look"]) for number in range(40)]
    _, record, _ = await run_cut(standard(), lambda run, here: here == 3, turns=[*turns, ("end", [])])
    assert len(record.sizes) > 30
    # The numbers of steps get a digit more.
    assert max(record.sizes[-10:]) <= max(record.sizes[2:12]) + 8


async def test_refusal_is_carried_over() -> None:
    """One question is refused for good, the other still waits when the run is cut."""

    def first(state: Words) -> dict[str, Any]:
        return {"words": [interrupt("a")]}

    def second(state: Words) -> dict[str, Any]:
        return {"words": [interrupt("b")]}

    nodes = {"first": (first, "workflow"), "second": (second, "workflow")}
    team = graph_of(Words, (START, "first"), (START, "second"), **nodes)
    answers = {"a": Refused("nobody routes it"), "b": "yes"}
    for at in range(1, 5):
        outcome, record, _ = await run_cut(team, lambda run, here, at=at: run == at, answers=answers)
        assert (outcome.status, outcome.detail) == ("failed", "nobody routes it")
        assert (record.executions, set(record.asked.values())) == (2, {1})
        assert len(record.asked) == 2


async def test_node_that_calls_otherwise_when_run_again_fails() -> None:
    """What was called before a question is not called again after it, and nothing else is in its stead."""

    async def fickle(state: Words) -> dict[str, Any]:
        RAN["fickle"] += 1
        await governed_tools("calls")({"calls": [_calling("look" if RAN["fickle"] == 1 else "note", "x")]})
        return {"words": [interrupt("a")]}

    RAN.clear()
    team = graph_of(Words, (START, "fickle"), fickle=(fickle, "workflow"))
    outcome, record, _ = await run_cut(team, answers=ANSWERS)
    assert outcome.status == "failed"
    assert "other calls than the first time" in outcome.detail
    assert sum(record.done.values()) == 1


async def test_graph_that_lost_a_node_does_not_go_on() -> None:
    """LangGraph would pass over the node that was to run, and the agent would have completed."""

    def first(state: Words) -> dict[str, Any]:
        return {"words": ["first"]}

    def end(state: Words) -> dict[str, Any]:
        return {"result": "end"}

    before = graph_of(Words, (START, "first"), ("first", "end"), first=first, end=end)
    after = graph_of(Words, (START, "first"), ("first", "last"), first=first, last=end)
    with pytest.raises(InvalidInput, match=r"the graph of agent 'team' has lost nodes since it began: team\.end"):
        await run_cut(before, lambda run, here: run == 2, afterwards=after)


async def test_state_makes_no_foreign_type() -> None:
    """Whoever can write a run's carried state cannot have a worker make any object of any class."""
    serde = StateSerde(types_in(register({"team": questions()})["team"]))
    with pytest.raises(InvalidInput, match="not a type of this graph"):
        serde.loads_typed(("json", b'{"$object": ["subprocess:Popen", {"args": "true"}]}'))
