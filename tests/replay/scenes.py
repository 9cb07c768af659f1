"""The runs whose histories are kept: one for each thing that workflow code does. A release records them anew."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from support.runtime import Runtime, eventually
from support.scenario import ASKS, SETTLES, Tool, add_agent, allow, ask, call, playbook, project

TOOLS: Final = {
    "note": Tool("return f'noted {text}'", 'action="read", idempotent=True'),
    "save": Tool("Path(text).write_text(text)\nreturn 'saved'", 'action="write", workspace="write"'),
    "send": Tool("return f'sent {text}'", 'action="publish"'),
    "sign": Tool("return f'signed {text}'", 'action="publish"'),
    "rush": Tool("return f'rushed {text}'", 'action="publish"'),
    "ban": Tool("return text", 'action="publish"'),
}
HANDS_ON: Final = {
    "id": "hands_on",
    "effect": "allow",
    "agent": "agent:*",
    "tool": "interlock.hand_off",
    "action": "hand_off",
}
RULES: Final[list[Any]] = [
    allow("note"),
    allow("save"),
    ask("send"),
    ask("sign", "pairs"),
    ask("rush", "hasty"),
    HANDS_ON,
    ASKS,
    SETTLES,
]
NOTES: Final = [call("note", text=f"n{number}") for number in range(12)]
AGENTS: Final[dict[str, Any]] = {
    "noter": playbook(*NOTES),
    "sender": playbook(call("note", text="a"), call("send", text="hello"), call("note", text="b")),
    "signer": playbook(call("sign", text="hello")),
    "rusher": playbook(call("rush", text="hello")),
    "banned": playbook(call("ban", text="hello"), call("no_such_tool", text="x")),
    "saver": playbook(call("save", text="one.txt"), call("save", text="two.txt")),
    "reader": [{"say": "all", "calls": [call("note", text="x"), call("send", text="y")]}, {"say": "done"}],
}
GRAPH: Final = '''
"""A graph of one's own: two questions at once, then a governed call."""

import operator
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send, interrupt

from interlock import agent


class State(TypedDict, total=False):
    task: Any
    said: Annotated[list[str], operator.add]
    result: str


def split(state):
    return [Send("question", {"task": word}) for word in ("left", "right")]


def question(state):
    return {"said": [str(interrupt(f"{state['task']}?"))]}


def end(state):
    return {"result": " ".join(sorted(state["said"]))}


def graph():
    builder = StateGraph(State)
    builder.add_node("begin", lambda state: {})
    builder.add_node("question", question)
    builder.add_node("end", end)
    builder.add_edge(START, "begin")
    builder.add_conditional_edges("begin", split, ["question"])
    builder.add_edge("question", "end")
    builder.add_edge("end", END)
    return builder


asker = agent("asker", prompt="Ask.", tools=["note"], graph=graph)
'''
COMPOSED: Final = '''
"""Every step that a workflow may take."""

from interlock.graph import AgentOutcome
from interlock.workflow import Workflow, workflow


@workflow("composed", agents=["noter", "sender", "saver"], signals={"go": None})
class Composed(Workflow):
    """Steps one after the other and side by side."""

    async def steps(self, task):
        await self.sleep(1)
        await self.signal("go")
        answer = await self.ask("noter", "on?")
        first, second = await self.all(self.agent("noter", answer), self.agent("sender", "b"))
        return await self.agent("saver", first.status + second.status)
'''


def write(root: Path) -> Path:
    """The project that the runs are of."""
    project(root, TOOLS, AGENTS, RULES)
    add_agent(root, "planner", _handing_on(), tools=["note"], limits='hand_off=["noter"]')
    (root / "agents" / "asker.py").write_text(GRAPH.lstrip())
    (root / "workflows" / "composed.py").write_text(COMPOSED.lstrip())
    return root


def _handing_on() -> list[Any]:
    return [{"say": "", "calls": [call("hand_off_to_noter", task="note")]}, {"say": "done"}]


async def play(runtime: Runtime) -> dict[str, str]:
    """Have every run end; its id by the name of its scene."""
    plain = ("noter", "rusher", "banned", "saver", "planner")
    runs = {name: await runtime.start(name, "go") for name in plain}
    runs |= {
        "approved": await _approved(runtime, "sender"),
        "by two": await _approved(runtime, "signer", "user:carol", "user:dave"),
        "side by side": await _approved(runtime, "reader"),
        "rejected": await _decided(runtime, "sender", "reject", message="no"),
        "edited": await _edited(runtime),
        "asked": await _asked(runtime),
        "cancelled": await _cancelled(runtime),
        "paused": await _paused(runtime),
        "composed": await _composed(runtime),
    }
    for run in runs.values():
        await runtime.client.wait(run)
    return {name.replace(" ", "_"): run for name, run in runs.items()}


async def _approved(runtime: Runtime, agent: str, *people: str) -> str:
    run = await runtime.start(agent, "go")
    request = await runtime.approval(run)
    for person in people or ("user:carol",):
        await runtime.client.decide(request, "approve", approver=person)
    return run


async def _decided(runtime: Runtime, agent: str, verdict: Any, **more: Any) -> str:
    run = await runtime.start(agent, "go")
    await runtime.client.decide(await runtime.approval(run), verdict, approver="user:carol", **more)
    return run


async def _edited(runtime: Runtime) -> str:
    run = await _decided(runtime, "sender", "edit", edited={"text": "bye"})
    await runtime.client.decide(await _second(runtime, run), "approve", approver="user:dave")
    return run


async def _second(runtime: Runtime, run: str) -> Any:
    """The second request of a run: the first may still be listed."""
    return await eventually(
        lambda: next((r for r in runtime.ledger.approvals(run=run) if r.request_id.endswith(":a2")), None)
    )


async def _asked(runtime: Runtime) -> str:
    run = await runtime.start("asker", "go")
    await eventually(lambda: len(runtime.ledger.approvals(run=run)) == 2)
    for request in runtime.ledger.approvals(run=run):
        await runtime.client.decide(request, "respond", approver="user:carol", message="yes")
    return run


async def _cancelled(runtime: Runtime) -> str:
    run = await runtime.start("sender", "go")
    await runtime.approval(run)
    await runtime.client.control(run, "cancel", by="user:alice", reason="enough")
    return run


async def _paused(runtime: Runtime) -> str:
    run = await runtime.start("sender", "go")
    request = await runtime.approval(run)
    await runtime.client.control(run, "pause", by="user:alice")
    await runtime.client.decide(request, "approve", approver="user:carol")
    await runtime.client.control(run, "resume", by="user:alice")
    return run


async def _composed(runtime: Runtime) -> str:
    run = await runtime.start("composed", None)
    await asyncio.sleep(2)  # nothing of it is on record before somebody or something acts
    await runtime.client.signal(run, "go", None, by="user:alice")
    await runtime.client.decide(await runtime.approval(run), "respond", approver="user:carol", message="yes")
    await runtime.client.decide(await _second(runtime, run), "approve", approver="user:carol")
    return run
