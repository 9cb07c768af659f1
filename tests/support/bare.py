"""The least around a graph: a workflow with a gate of a few lines, blobs in memory, a manifest of one agent."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson
from pydantic import JsonValue
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from temporalio.langgraph import graph

    from interlock.definitions import AgentDefinition, AgentEntry, Manifest, ToolEntry, ToolSchema
    from interlock.digest import canonical, digest_bytes
    from interlock.errors import Refused
    from interlock.graph import AgentOutcome, AgentTask, CallResult, ModelReply, ProposedCall
    from interlock.graph.drive import drive
    from interlock.scratch import ScratchBlobs

NOTHING = digest_bytes(b"")
MAX_REPLIES = 200
_queues = itertools.count(1)


def task_queue() -> str:
    """A queue that nobody else polls."""
    return f"bare-{next(_queues)}"


def manifest_of(agent: AgentDefinition, blobs: ScratchBlobs, playbook: list[dict[str, Any]], **tools: Any) -> str:
    """The blob of a manifest with `agent` and its tools; `tools` gives schemas of arguments."""
    entry = AgentEntry(
        source=NOTHING,
        prompt=blobs.put(agent.prompt.encode()),
        graph=NOTHING,
        playbook=blobs.put(orjson.dumps(playbook)),
        model="scripted",
        tools=agent.tools,
        max_steps=agent.max_steps,
        max_tokens=agent.max_tokens,
        custom=agent.graph is not None,
        context=agent.context,
        hand_off=agent.hand_off,
    )
    manifest = Manifest(
        project="bare",
        engine="",
        agents={agent.name: entry},
        tools={name: _tool(name, tools.get(name, {"type": "object"})) for name in agent.tools},
        workflows={},
        images={},
        policy=NOTHING,
    )
    return blobs.put(canonical(manifest.as_hashed()))


def _tool(name: str, parameters: dict[str, Any]) -> ToolEntry:
    schema = ToolSchema(
        name=name,
        description=f"Does {name}.",
        parameters=parameters,
        result={},
        action="read",
        resource="",
        workspace="none",
        effects="contained",
        idempotent=True,
        profile="default",
        preview="arguments",
        sentence="",
    )
    return ToolEntry(source=NOTHING, path=f"tools/{name}.py", schema_=schema)


@workflow.defn
class BareRun:
    """Drives one graph and is its gate: each tool answers its own name, each question what the test says."""

    draining = False

    def asking(self) -> None:
        return None

    def __init__(self) -> None:
        self._answers: dict[str, Any] = {}
        self._seen: dict[str, list[Any]] = {"replies": [], "calls": [], "questions": []}

    @workflow.run
    async def run(self, task: AgentTask, answers: dict[str, Any]) -> AgentOutcome:
        self._answers = answers
        return await drive(graph(task.agent), task, self)

    @workflow.query
    def seen(self) -> dict[str, list[Any]]:
        return self._seen

    async def responded(self, agent: str, before: str, reply: ModelReply) -> None:
        self._seen["replies"].append({"before": before, **reply.model_dump(mode="json")})
        if len(self._seen["replies"]) > MAX_REPLIES:
            raise Refused("max_steps")

    async def call(self, agent: str, calls: Sequence[ProposedCall], *, place: str) -> list[CallResult]:
        self._seen["calls"] += [call.model_dump(mode="json") for call in calls]
        results = [_result(call) for call in calls if call.tool != "silent"]
        return list(reversed(results))

    async def ask(self, agent: str, question: JsonValue, *, place: str) -> JsonValue:
        # A timer, so that the run is replayed while the question is open.
        await workflow.sleep(timedelta(milliseconds=1))
        self._seen["questions"].append(question)
        key = (
            question if isinstance(question, str) else orjson.dumps(question, option=orjson.OPT_SORT_KEYS).decode()
        )
        answer = self._answers[key] if key in self._answers else self._answers["*"]
        return answer.pop(0) if isinstance(answer, list) else answer


def _result(call: ProposedCall) -> CallResult:
    status = "error" if call.error else "refused" if call.tool == "forbidden" else "ok"
    text = call.error or f"{call.tool} answered"
    return CallResult(model_call_id=call.model_call_id, tool=call.tool, status=status, text=text)
