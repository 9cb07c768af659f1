"""Teams' own graphs on a real Temporal server: what works works whole, and replays; what cannot is refused."""

from __future__ import annotations

import asyncio
import contextlib
import io
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.runtime import Runtime, eventually, running, settings_for
from support.small import call, small_project

from interlock.cli import run_live
from interlock.definitions import agent
from interlock.errors import ProjectError
from interlock.graph import Written, register
from interlock.run.live import live_run

HEADER = """
from typing import Annotated, Any
import operator
from typing_extensions import TypedDict
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.graph import END, START, MessagesState, StateGraph, add_messages
from langgraph.types import Command, Send, interrupt
from interlock import agent
from interlock.graph import chat_model, governed_tools, system_prompt
"""

MESSAGES = """
class State(MessagesState):
    seen: Annotated[list[str], operator.add]

async def think(state):
    kinds = [type(m).__name__ for m in state["messages"]]
    reply = await chat_model().ainvoke([system_prompt(), *state["messages"]])
    return {"messages": [reply], "seen": [",".join(kinds)]}

def after(state):                      # synchronous, and it looks at the class of a message
    last = state["messages"][-1]
    return "tools" if isinstance(last, AIMessage) and last.tool_calls else "end"

def end(state):
    tools = [m.content for m in state["messages"] if isinstance(m, ToolMessage)]
    return {"messages": [AIMessage("tools said: " + "; ".join(tools) + " | " + " ".join(state["seen"]))]}

def graph():
    b = StateGraph(State)
    b.add_node("think", think)
    b.add_node("tools", governed_tools())
    b.add_node("end", end)
    b.add_edge(START, "think")
    b.add_conditional_edges("think", after, ["tools", "end"])
    b.add_edge("tools", "think")
    b.add_edge("end", END)
    return b
"""

QUESTIONS = """
class State(TypedDict):
    task: str
    answers: Annotated[list[str], operator.add]
    result: str

def first(state):
    return {"answers": ["first=" + str(interrupt("one?"))]}

def second(state):
    return {"answers": ["second=" + str(interrupt("two?"))]}

def third(state):
    return {"answers": ["third=" + str(interrupt({"ask": "three?", "ratio": 0.5}))]}

def close(state):
    return {"result": " ".join(sorted(state["answers"]))}

def graph():
    b = StateGraph(State)
    b.add_node("first", first, metadata={"execute_in": "workflow"})
    b.add_node("second", second)       # in an activity
    b.add_node("third", third)
    b.add_node("close", close)
    b.add_edge(START, "first")
    b.add_edge(START, "second")
    b.add_edge(["first", "second"], "third")
    b.add_edge("third", "close")
    b.add_edge("close", END)
    return b
"""

ROUTING = """
class State(TypedDict):
    task: str
    parts: Annotated[list[int], operator.add]
    result: str

def split(state):
    return Command(goto="fan", update={"parts": [0]})

def fan(state):
    return {}

def spread(state):
    return [Send("square", {"n": n}) for n in (1, 2, 3)]

def square(state):
    return {"parts": [state["n"] ** 2]}

def total(state):
    return {"result": str(sorted(state["parts"]))}

def graph():
    b = StateGraph(State)
    b.add_node("split", split, destinations=("fan",))
    b.add_node("fan", fan)
    b.add_node("square", square)
    b.add_node("total", total)
    b.add_edge(START, "split")
    b.add_conditional_edges("fan", spread, ["square"])
    b.add_edge("square", "total")
    b.add_edge("total", END)
    return b
"""

PARTS = """
from dataclasses import dataclass
from langgraph.runtime import Runtime

@dataclass
class Region:
    name: str

def most(old, new):
    return max(old or 0, new)

class Part(TypedDict):
    name: str
    seen: Annotated[list[str], operator.add]
    notes: Annotated[list, add_messages]
    most: Annotated[int, most]

class State(Part):
    task: str
    result: str

def call(state):
    turn = AIMessage("", tool_calls=[{"name": "note", "args": {"text": state["name"]}, "id": state["name"]}])
    return {"notes": [turn]}

def ask(state, runtime: Runtime[Region]):
    answer = interrupt(f"{state['name']} in {runtime.context.name}?")
    return {"seen": [f"{state['name']}:{answer}"], "most": len(state["notes"])}

class Out(TypedDict):
    seen: Annotated[list[str], operator.add]
    notes: Annotated[list, add_messages]
    most: Annotated[int, most]

def part():
    b = StateGraph(Part, context_schema=Region, output_schema=Out)
    b.add_node("call", call)
    b.add_node("tools", governed_tools("notes"))
    b.add_node("ask", ask)
    b.add_edge(START, "call")
    b.add_edge("call", "tools")
    b.add_edge("tools", "ask")
    return b.compile()

def spread(state):
    return [Send("part", {"name": name}) for name in ("left", "right")]

def close(state):
    noted = sorted(m.content for m in state["notes"] if isinstance(m, ToolMessage))
    return {"result": f"{' '.join(sorted(state['seen']))} | most: {state['most']} | {'; '.join(noted)}"}

def graph():
    b = StateGraph(State, context_schema=Region)
    b.add_node("part", part())
    b.add_node("close", close)
    b.add_conditional_edges(START, spread, ["part"])
    b.add_edge("part", "close")
    return b
"""

WRITES = """
import time
from pathlib import Path
from langgraph.config import get_stream_writer

class State(TypedDict):
    task: str

def work(state, writer):
    writer("\\x1b[2Jhalf way")
    get_stream_writer()({"done": 1})
    while state["task"].startswith("/") and not Path(state["task"]).exists():
        time.sleep(0.05)

def graph():
    inner = StateGraph(State)
    inner.add_node("work", work)
    inner.add_edge(START, "work")
    b = StateGraph(State)
    b.add_node("work", work)
    b.add_node("inner", inner.compile())
    b.add_edge(START, "work")
    b.add_edge("work", "inner")
    return b
"""

BEATS = """
import asyncio
from pathlib import Path
from temporalio import activity

class State(TypedDict):
    task: str

async def work(state):
    if state["task"].startswith("/"):
        while not Path(state["task"]).exists():
            activity.heartbeat("junk", 1)
            await asyncio.sleep(0.05)

def graph():
    b = StateGraph(State)
    b.add_node("work", work)
    b.add_edge(START, "work")
    return b
"""

TURNS = [
    {"say": "look", "calls": [call("note", text="one"), call("note", text="two"), call("note", text="a secret")]},
    {"say": "done"},
]


def _agent(root: Path, name: str, body: str, tools: list[str], **options: Any) -> None:
    more = "".join(f", {key}={value!r}" for key, value in options.items())
    tail = f'\n{name} = agent("{name}", prompt="Test.", tools={tools!r}, graph=graph{more})\n'
    (root / "agents" / f"{name}.py").write_text(HEADER + textwrap.dedent(body) + tail)
    (root / "agents" / f"{name}.playbook.yaml").write_bytes(orjson.dumps(TURNS))


@pytest.fixture(scope="module", params=[450, 12], ids=["one execution", "many executions"])
async def graphs(
    request: pytest.FixtureRequest, temporal_address: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Runtime]:
    root = small_project(tmp_path_factory.mktemp("graphs") / "project", [{"say": "done"}])
    _agent(root, "messages", MESSAGES, ["note"])
    _agent(root, "questions", QUESTIONS, [])
    _agent(root, "routing", ROUTING, [])
    _agent(root, "parts", PARTS, ["note"], context={"name": "north"})
    _agent(root, "writes", WRITES, [])
    _agent(root, "beats", BEATS, [])
    rules = root / "permissions" / "rules.yaml"
    rules.write_text(rules.read_text().replace("agent: agent:tester", "agent: agent:*"))
    options = {"name": f"graphs{request.param}", "events_an_execution": request.param}
    async with running(settings_for(root, temporal_address, **options)) as runtime:
        yield runtime


async def _verified(runtime: Runtime, run: str) -> None:
    verdict = await runtime.verdict(run)
    assert verdict.verified, verdict.differences


async def _executions_fit(runtime: Runtime, run: str) -> None:
    """Where executions are short, the run went on in new ones."""
    history = await runtime.temporal.get_workflow_handle(run).fetch_history()
    earlier = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
    assert bool(earlier) == (runtime.settings.events_an_execution < 100)


async def test_messages_keep_their_classes(graphs: Runtime) -> None:
    """Sync edge, LangChain messages over activities, and tools through the gate, in one graph."""
    run = await graphs.start("messages", "go")
    outcome = await graphs.client.wait(run)
    assert outcome.status == "completed", outcome.detail
    said = graphs.text(outcome.result)
    assert said.startswith("tools said: noted one; noted two; Not run.")
    assert said.endswith("| HumanMessage HumanMessage,AIMessage,ToolMessage,ToolMessage,ToolMessage")
    kinds = graphs.kinds(run)
    assert (kinds.count("call.finished"), kinds.count("call.refused"), kinds.count("model.responded")) == (2, 1, 2)
    await _executions_fit(graphs, run)
    await _verified(graphs, run)


async def test_questions_are_answered_by_id(graphs: Runtime) -> None:
    """Two interrupts at once, answered the later one first, then a third."""
    run = await graphs.start("questions", "go")
    both = await eventually(lambda: (rows := graphs.ledger.approvals(run=run)) and len(rows) == 2 and rows)
    asked = {orjson.loads(graphs.stored(row.subject))["question"]: row for row in both}
    await graphs.client.decide(asked["two?"], "respond", approver="user:carol", message="B")
    await graphs.client.decide(asked["one?"], "respond", approver="user:dave", message="A")
    known = {row.request_id for row in both}
    third = await eventually(
        lambda: next((r for r in graphs.ledger.approvals(run=run) if r.request_id not in known), None)
    )
    assert orjson.loads(graphs.stored(third.subject))["question"] == {"ask": "three?", "ratio": "0.5"}
    await graphs.client.decide(third, "respond", approver="user:carol", message="C")
    outcome = await graphs.client.wait(run)
    assert outcome.status == "completed", outcome.detail
    assert graphs.text(outcome.result) == "first=A second=B third=C"
    await _executions_fit(graphs, run)
    await _verified(graphs, run)


async def test_command_and_send_work(graphs: Runtime) -> None:
    run = await graphs.start("routing", "go")
    outcome = await graphs.client.wait(run)
    assert outcome.status == "completed", outcome.detail
    assert graphs.text(outcome.result) == "[0, 1, 4, 9]"
    await _verified(graphs, run)


async def test_rejected_question_fails_agent(graphs: Runtime) -> None:
    run = await graphs.start("questions", "go")
    rejected, other = await _asked(graphs, run, 2)
    await graphs.client.decide(rejected, "reject", approver="user:carol", message="ask somebody else")
    await graphs.client.decide(other, "respond", approver="user:carol", message="fine")
    outcome = await graphs.client.wait(run)
    assert outcome.status == "failed"
    assert "ask somebody else" in outcome.detail


async def _asked(runtime: Runtime, run: str, count: int) -> list[Any]:
    """The run's requests, once there are as many."""
    return await eventually(lambda: (rows := runtime.ledger.approvals(run=run)) and len(rows) == count and rows)


async def test_graph_in_a_graph_is_governed_and_reads_its_context(graphs: Runtime) -> None:
    """Inner calls go through the gate, inner questions to people, own reducers and the context work within."""
    run = await graphs.start("parts", "go")
    both = await _asked(graphs, run, 2)
    asked = {orjson.loads(graphs.stored(row.subject))["question"]: row for row in both}
    for question in ("right in north?", "left in north?"):
        await graphs.client.decide(asked[question], "respond", approver="user:carol", message=question[0])
    outcome = await graphs.client.wait(run)
    assert outcome.status == "completed", outcome.detail
    assert graphs.text(outcome.result) == "left:l right:r | most: 2 | noted left; noted right"
    assert graphs.kinds(run).count("call.finished") == 2
    await _executions_fit(graphs, run)
    await _verified(graphs, run)


async def test_what_a_node_writes_is_seen_while_it_runs(graphs: Runtime, tmp_path: Path) -> None:
    """Whatever it writes, nothing of it reaches a terminal that a terminal would obey."""
    seen_it = tmp_path / "seen"
    run = await graphs.start("writes", str(seen_it))
    found = await _written(graphs, run)
    text = "".join(one.tail for one in found)
    assert "half way\n" in text
    assert '{"done": 1}' in text
    assert {one.node for one in found} <= {"writes.work", "writes.inner.work"}
    shown = await _looked(graphs, run)
    seen_it.touch()
    outcome = await graphs.client.wait(run)
    assert outcome.status == "completed", outcome.detail
    assert "half way" in shown
    assert "\x1b" not in shown
    assert "⟨U+001B⟩" in shown
    assert (await live_run(graphs.temporal, run)).nodes == {}


async def test_what_a_node_beats_stops_nobody_from_looking(graphs: Runtime, tmp_path: Path) -> None:
    run = await graphs.start("beats", str(tmp_path / "seen"))
    async with asyncio.timeout(60):
        while not await _beaten(graphs, run):
            await asyncio.sleep(0.05)
    looked = await live_run(graphs.temporal, run)
    assert (looked.open, looked.nodes) == (True, {})
    (tmp_path / "seen").touch()
    assert (await graphs.client.wait(run)).status == "completed"


async def _beaten(runtime: Runtime, run: str) -> bool:
    found = await runtime.temporal.get_workflow_handle(run).describe()
    return any(step.heartbeat_details.payloads for step in found.raw_description.pending_activities)


async def _written(runtime: Runtime, run: str) -> list[Written]:
    async with asyncio.timeout(60):
        while True:
            nodes = list((await live_run(runtime.temporal, run)).nodes.values())
            if any('"done"' in one.tail for one in nodes):
                return nodes
            await asyncio.sleep(0.2)


async def _looked(runtime: Runtime, run: str) -> str:
    """What `interlock run live` shows."""
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        run_live._tell(await live_run(runtime.temporal, run), {}, as_json=False, follow=False)
    return shown.getvalue()


def _graph(**node: Any) -> Any:
    from langgraph.graph import END, START, StateGraph

    def work(state: dict[str, Any]) -> dict[str, Any]:
        return {}

    def build() -> Any:
        builder: Any = StateGraph(dict)
        builder.add_node("work", node.pop("function", work), **node)
        builder.add_edge(START, "work")
        builder.add_edge("work", END)
        return builder

    return build


def _with_store(state: dict[str, Any], *, store: Any) -> dict[str, Any]:
    return {}


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        ({"retry_policy": __import__("langgraph.types").types.RetryPolicy()}, "temporalio.common.RetryPolicy"),
        ({"metadata": {"execute_in": "moon"}}, "'activity' or 'workflow'"),
    ],
)
def test_graph_that_cannot_work_is_refused(node: dict[str, Any], reason: str) -> None:
    with pytest.raises(ProjectError, match=reason):
        register({"x": agent("x", prompt="p", graph=_graph(**node))})


def test_compiled_graph_is_refused() -> None:
    with pytest.raises(ProjectError, match=r"leave out \.compile"):
        register({"x": agent("x", prompt="p", graph=lambda: _graph()().compile())})
