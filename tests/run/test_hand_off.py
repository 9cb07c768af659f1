"""Work that one agent hands on to another: a run of its own, no more permissions than its parent's, one record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.runtime import Runtime, eventually, running, settings_for
from support.scenario import ASKS, SETTLES, Tool, add_agent, allow, call, playbook, project

from interlock.events import CallFinished, CallRefused, Event, RunStarted
from interlock.run.files import load_tree
from interlock.run.histories import fetch_history
from interlock.run.replay import replay
from interlock.run.replay_hand_offs import hand_off_differences

pytestmark = pytest.mark.temporal

TOOLS = {
    "note": Tool('return f"noted {text}"'),
    "save": Tool('Path("saved.txt").open("a").write(text)\nreturn "saved"', 'action="write", workspace="write"'),
    "send": Tool('return f"sent {text}"', 'action="publish"'),
    "fetch": Tool('return "attacker@example.org"', 'action="read", emits=("untrusted",)'),
    "wait": Tool("time.sleep(0.2)\nreturn text"),
}
HANDS_ON = {
    "id": "hands_on",
    "effect": "allow",
    "agent": "agent:*",
    "tool": "interlock.hand_off",
    "action": "hand_off",
}
RULES = [
    allow("note"),
    allow("save"),
    allow("fetch"),
    allow("wait"),
    HANDS_ON,
    ASKS,
    SETTLES,
    {"id": "helper_sends", "effect": "allow", "agent": "agent:helper", "tool": "send"},
    {"id": "careful_sends", "effect": "allow", "agent": "agent:careful", "tool": "send"},
    {"id": "planner_asks", "effect": "ask", "agent": "agent:careful_planner", "tool": "send", "route": "seniors"},
    {
        "id": "no_untrusted",
        "effect": "deny",
        "agent": "agent:*",
        "tool": "send",
        "when": [{"attribute": "seen", "label": "untrusted"}],
    },
]
WORKFLOW = '''
import asyncio

from interlock.workflow import Workflow, workflow


@workflow("pair", agents=["planner"])
class Pair(Workflow):
    """Hand two pieces of work on at once."""

    async def steps(self, task):
        first, second = await asyncio.gather(
            self.hand_off("planner", "saver", "one"), self.hand_off("planner", "looker", "two")
        )
        return first if second.status == "completed" else second
'''
OWN_GRAPH = """
from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph

from interlock import agent
from interlock.graph import chat_model, governed_tools, system_prompt


async def think(state: MessagesState):
    return {"messages": [await chat_model().ainvoke([system_prompt(), *state["messages"]])]}


def acts(state: MessagesState) -> str:
    last = state["messages"][-1]
    return "act" if isinstance(last, AIMessage) and last.tool_calls else END


def graph() -> StateGraph:
    builder = StateGraph(MessagesState)
    builder.add_node("think", think)
    builder.add_node("act", governed_tools())
    builder.add_edge(START, "think")
    builder.add_conditional_edges("think", acts, ["act", END])
    builder.add_edge("act", "think")
    return builder


grapher = agent("grapher", prompt="Test.", hand_off=["looker"], graph=graph)
"""


def handing(to: str, task: str = "do it") -> dict[str, Any]:
    return call(f"hand_off_to_{to}", task=task)


AGENTS: dict[str, tuple[Any, str]] = {
    "planner": (playbook(handing("looker", "look")), 'hand_off=["looker", "saver", "helper"]'),
    "looker": (playbook(call("note", text="seen")), ""),
    "saver": (playbook(call("save", text="from the saver")), ""),
    "saving_planner": (playbook(handing("saver"), call("save", text=" and me")), 'hand_off=["saver"]'),
    "helper": (playbook(call("send", text="x")), ""),
    "sending_planner": (playbook(handing("helper")), 'hand_off=["helper"]'),
    "careful": (playbook(call("send", text="x")), ""),
    "careful_planner": (playbook(handing("careful")), 'hand_off=["careful"]'),
    "reader": (playbook(call("fetch", text="x")), ""),
    "tainted_planner": (playbook(handing("reader"), call("send", text="x")), 'hand_off=["reader"]'),
    "washer": (playbook(call("fetch", text="x"), handing("careful")), 'hand_off=["careful"]'),
    "slow": (playbook(*[call("wait", text=str(n)) for n in range(200)]), "max_steps=300"),
    "slow_planner": (playbook(handing("slow")), 'hand_off=["slow"]'),
    "looping": (playbook(handing("looping")), 'hand_off=["looping"]'),
    "thrifty": (playbook(handing("spender"), handing("spender", "again")), 'hand_off=["spender"], max_tokens=1000'),
    "spender": (playbook(*[call("note", text="x" * 400) for _ in range(20)]), ""),
    "stranger": (playbook(call("hand_off_to_looker", task="x")), ""),
}


def hand_off_project(root: Path) -> Path:
    project(root, TOOLS, {}, RULES)
    for name, (turns, more) in AGENTS.items():
        add_agent(root, name, turns, tools=list(TOOLS), limits=more)
    add_agent(root, "grapher", playbook(handing("looker", "look")), tools=[])
    (root / "agents" / "grapher.py").write_text(OWN_GRAPH)
    (root / "workflows" / "pair.py").write_text(WORKFLOW)
    return root


@pytest.fixture(scope="module")
async def runtime(temporal_address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runtime]:
    root = hand_off_project(tmp_path_factory.mktemp("hand-off") / "project")
    async with running(settings_for(root, temporal_address, name="handoff")) as found:
        yield found


def of(runtime: Runtime, run: str, kind: type[Event]) -> list[Any]:
    return [event for event in runtime.ledger.events(run) if isinstance(event, kind)]


def child_of(runtime: Runtime, run: str, place: int = 0) -> str:
    return runtime.ledger.hand_offs(run)[place].child


def text(runtime: Runtime, run: str, digest: str) -> str:
    return runtime.blobs.of(run).get(digest).decode()


def answers(runtime: Runtime, run: str) -> list[str]:
    return [text(runtime, run, event.output) for event in of(runtime, run, CallFinished)]


async def test_child_does_the_work(runtime: Runtime) -> None:
    run = await runtime.start("planner", "go")
    outcome = await runtime.client.wait(run)
    assert outcome.status == "completed", outcome
    (finished,) = of(runtime, run, CallFinished)
    child = child_of(runtime, run)
    (start,) = of(runtime, child, RunStarted)
    assert (start.parent, start.parent_call, start.delegators) == (run, f"{run}:c1", ("agent:planner",))
    assert start.requester == "user:alice"
    assert (finished.status, answers(runtime, run)) == ("ok", ["done"])
    head = runtime.ledger.head(child)
    assert (finished.child.run, finished.child.head, finished.child.count) == (child, head.hash, head.count)
    assert finished.child.tokens > 0
    assert not runtime.ledger.alarms(run)
    assert not runtime.ledger.alarms(child)


async def test_graph_of_ones_own_hands_on(runtime: Runtime) -> None:
    run = await runtime.start("grapher", "go")
    outcome = await runtime.client.wait(run)
    assert outcome.status == "completed", outcome
    assert answers(runtime, run) == ["done"]
    assert runtime.ledger.hand_offs(run)[0].agent == "looker"


async def test_child_may_do_no_more_than_its_parent(runtime: Runtime) -> None:
    run = await runtime.start("sending_planner", "go")
    assert (await runtime.client.wait(run)).status == "completed"
    (refused,) = of(runtime, child_of(runtime, run), CallRefused)
    assert refused.by == "policy"
    assert "'agent:sending_planner' handed this work on and may not make this call itself" in refused.detail
    alone = await runtime.start("helper", "go")
    assert (await runtime.client.wait(alone)).status == "completed"
    assert [event.status for event in of(runtime, alone, CallFinished)] == ["ok"]


async def test_parents_question_is_asked_of_child(runtime: Runtime) -> None:
    run = await runtime.start("careful_planner", "go")
    child = f"{run}.s1"
    request = await runtime.approval(child)
    assert (request.rule, request.agent) == ("planner_asks", "agent:careful")
    await runtime.client.decide(request, "approve", approver="user:carol", bundle="")
    assert (await runtime.client.wait(run)).status == "completed"
    assert [event.status for event in of(runtime, child, CallFinished)] == ["ok"]


async def test_files_of_child_are_taken_over(runtime: Runtime) -> None:
    run = await runtime.start("saving_planner", "go")
    outcome = await runtime.client.wait(run)
    assert outcome.status == "completed"
    tree = load_tree(outcome.workspace, runtime.blobs.of(run))
    assert text(runtime, run, tree.files["saved.txt"].digest) == "from the saver and me"


async def test_hand_offs_run_side_by_side(runtime: Runtime) -> None:
    run = await runtime.start("pair", None)
    outcome = await runtime.client.wait(run)
    assert outcome.status == "completed", outcome
    assert answers(runtime, run) == ["done", "done"]
    assert len(runtime.ledger.hand_offs(run)) == 2
    assert "saved.txt" in load_tree(outcome.workspace, runtime.blobs.of(run)).files


async def test_childs_labels_come_back(runtime: Runtime) -> None:
    """What an untrusted source told the child, the parent has been told."""
    run = await runtime.start("tainted_planner", "go")
    await runtime.client.wait(run)
    (finished,) = of(runtime, run, CallFinished)
    assert finished.child.labels == ("untrusted",)
    (refused,) = of(runtime, run, CallRefused)
    assert "no_untrusted" in refused.detail


async def test_parents_labels_go_along(runtime: Runtime) -> None:
    """Labels are not washed off by handing work on."""
    run = await runtime.start("washer", "go")
    await runtime.client.wait(run)
    child = child_of(runtime, run)
    (start,) = of(runtime, child, RunStarted)
    assert start.labels == ("untrusted",)
    (refused,) = of(runtime, child, CallRefused)
    assert "no_untrusted" in refused.detail


async def test_work_is_handed_on_five_times_only(runtime: Runtime) -> None:
    run = await runtime.start("looping", "go")
    assert (await runtime.client.wait(run)).status == "completed"
    depth = 0
    while handed := runtime.ledger.hand_offs(run):
        run, depth = handed[0].child, depth + 1
    assert depth == 5
    (refused,) = of(runtime, run, CallRefused)
    assert (refused.by, "handed on 5 times already" in refused.detail) == ("executor", True)


async def test_childs_tokens_are_its_parents(runtime: Runtime) -> None:
    run = await runtime.start("thrifty", "go")
    outcome = await runtime.client.wait(run)
    assert outcome.status == "failed"
    (finished,) = of(runtime, run, CallFinished)
    assert finished.status == "error"
    assert "max_tokens" in answers(runtime, run)[0]
    assert "thrifty" in outcome.detail


async def test_agent_hands_on_to_those_it_names(runtime: Runtime) -> None:
    run = await runtime.start("stranger", "go")
    assert (await runtime.client.wait(run)).status == "completed"
    (refused,) = of(runtime, run, CallRefused)
    assert refused.by == "unknown_tool"
    assert not runtime.ledger.hand_offs(run)


async def test_cancelled_parent_stops_its_child(runtime: Runtime) -> None:
    run = await runtime.start("slow_planner", "go")
    child = f"{run}.s1"
    await eventually(lambda: len(of(runtime, child, CallFinished)) > 1)
    await runtime.client.control(run, "cancel", by="user:alice", reason="enough")
    assert (await runtime.client.wait(run)).status == "cancelled"
    assert runtime.ledger.run(child).status == "cancelled"
    (finished,) = of(runtime, run, CallFinished)
    assert (finished.status, finished.child.status) == ("cancelled", "cancelled")


async def test_paused_parent_holds_its_child(runtime: Runtime) -> None:
    run = await runtime.start("slow_planner", "go")
    child = f"{run}.s1"
    await eventually(lambda: of(runtime, child, CallFinished))
    await runtime.client.control(run, "pause", by="user:alice")
    await asyncio.sleep(1)
    done = len(of(runtime, child, CallFinished))
    await asyncio.sleep(1.5)
    assert len(of(runtime, child, CallFinished)) == done
    await runtime.client.control(run, "resume", by="user:alice")
    await eventually(lambda: len(of(runtime, child, CallFinished)) > done + 1)
    await runtime.client.control(run, "cancel", by="user:alice")
    await runtime.client.wait(run)


async def test_terminated_child_is_lost(runtime: Runtime) -> None:
    run = await runtime.start("slow_planner", "go")
    child = f"{run}.s1"
    await eventually(lambda: of(runtime, child, CallFinished))
    await runtime.temporal.get_workflow_handle(child).terminate("gone")
    assert (await runtime.client.wait(run)).status == "completed"
    (finished,) = of(runtime, run, CallFinished)
    assert (finished.status, finished.child.status) == ("error", "lost")
    assert "left none on record" in answers(runtime, run)[0]


async def test_record_of_hand_off_proves_itself(runtime: Runtime) -> None:
    run = await runtime.start("looping", "go")
    await runtime.client.wait(run)
    for name in (run, child_of(runtime, run)):
        verdict = await replay(
            name,
            runtime.settings,
            runtime.ledger,
            runtime.blobs,
            history=await fetch_history(runtime.temporal, name),
            content=runtime.content,
        )
        assert verdict.verified, verdict.first


async def test_altered_record_of_child_is_named(runtime: Runtime) -> None:
    """The parent's receipt says how far the child's chain reached, and to which hash."""
    run = await runtime.start("saving_planner", "go")
    await runtime.client.wait(run)
    recorded, child = runtime.ledger.events(run), child_of(runtime, run)
    assert list(hand_off_differences(runtime.ledger, recorded)) == []
    (finished,) = [event for event in recorded if isinstance(event, CallFinished) and event.child is not None]
    for change, word in (({"head": finished.hash}, "came to"), ({"count": 10_000}, "has not so many")):
        altered = finished.model_copy(update={"child": finished.child.model_copy(update=change)})
        ((_, field, message),) = hand_off_differences(runtime.ledger, [altered])
        assert (field, word in message, child in message) == ("child", True, True)
    (start,) = of(runtime, child, RunStarted)
    moved = start.model_copy(update={"parent_call": f"{run}:c2"})
    assert [field for _, field, _ in hand_off_differences(runtime.ledger, [moved])] == ["parent"]
