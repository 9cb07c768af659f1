"""A graph cut at any place: a gate that drains at its n-th look, and a driver that goes on with a new one."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue
from support.bare import manifest_of

from interlock.definitions import AgentDefinition
from interlock.digest import canonical
from interlock.graph import AgentOutcome, AgentTask, CallResult, Drained, ModelReply, ProposedCall
from interlock.graph.conclude import Concluded, Ending, store
from interlock.graph.drive import drive
from interlock.graph.playbook import PlaybookCall, Turn
from interlock.graph.registry import register
from interlock.graph.scripted import ScriptedModel
from interlock.graph.services import OVERRIDE, Services
from interlock.graph.stopped import Stopped
from interlock.scratch import ScratchBlobs
from interlock.settings import Settings

Drains = Callable[[int, int], bool]
"""Whether the gate drains at this look: its number in the run, and in this execution."""
MAX_EXECUTIONS = 200


@dataclass
class Record:
    """What became of one run, over all its executions. Places are forgotten once they are answered."""

    answers: dict[str, Any]
    looks: int = 0
    executions: int = 0
    replies: list[str] = field(default_factory=list)
    """Tools that each reply calls."""
    done: Counter[str] = field(default_factory=Counter)
    """Effects, by place and tool."""
    asked: Counter[str] = field(default_factory=Counter)
    """Questions that were answered, by place."""
    waiting: dict[str, CallResult] = field(default_factory=dict)
    """Results of calls whose node has not got them yet."""
    sizes: list[int] = field(default_factory=list)
    """Bytes of each state that was carried over."""


class CutGate:
    """The gate of one execution."""

    def __init__(self, record: Record, drains: Drains) -> None:
        self._record, self._drains, self._draining, self._looks = record, drains, False, 0

    def asking(self) -> None:
        return None

    @property
    def draining(self) -> bool:
        self._record.looks += 1
        self._looks += 1
        self._draining = self._draining or self._drains(self._record.looks, self._looks)
        return self._draining

    async def responded(self, agent: str, before: str, reply: ModelReply) -> None:
        self._record.replies.append(",".join(call.tool for call in reply.calls))

    async def call(self, agent: str, calls: Sequence[ProposedCall], *, place: str) -> list[CallResult]:
        record = self._record
        for number, call in enumerate(calls):
            key = f"{place} {number} {call.tool}"
            if key in record.waiting:
                continue
            await asyncio.sleep(0)
            if self.draining:
                raise Drained
            record.done[key] += 1
            text = f"{call.tool} {record.done[key]}"
            record.waiting[key] = CallResult(
                model_call_id=call.model_call_id, tool=call.tool, status="ok", text=text
            )
        return [record.waiting.pop(f"{place} {number} {call.tool}") for number, call in enumerate(calls)]

    async def ask(self, agent: str, question: JsonValue, *, place: str) -> JsonValue:
        await asyncio.sleep(0)
        if self.draining:
            raise Drained
        self._record.asked[place] += 1
        answer = self._record.answers[_key(question)]
        if isinstance(answer, Exception):
            raise answer
        return answer


def _key(question: JsonValue) -> str:
    if not isinstance(question, dict):
        return str(question)
    return f"{question['question']}{' again' if 'problem' in question else ''}"


async def run_cut(
    agent: AgentDefinition,
    drains: Drains = lambda run, here: False,
    *,
    turns: Sequence[tuple[str, list[str]]] = (),
    answers: dict[str, Any] | None = None,
    task: JsonValue = "go",
    afterwards: AgentDefinition | None = None,
) -> tuple[AgentOutcome, Record, str]:
    """Drive the agent's graph to its end, in as many executions as it takes; also the text of its result.

    Args:
        agent: whose graph it is.
        drains: when the gate drains.
        turns: of the scripted model: what it says, and the tools that it calls.
        answers: of people, by question; `QUESTION again` where the first did not fit.
        task: the graph's input.
        afterwards: what the agent is from the second execution on.
    """
    record, blobs = Record(answers or {}), ScratchBlobs()
    model = ScriptedModel(
        turns=tuple(Turn(say=say, calls=tuple(PlaybookCall(tool=t) for t in tools)) for say, tools in turns)
    )
    services = Services(blobs, Settings.model_construct(), resolve=lambda *_: model)
    token = OVERRIDE.set(services)

    async def conclude(ending: Ending) -> Concluded:
        return store(services, ending)

    work = AgentTask(agent=agent.name, run="cut", manifest=manifest_of(agent, blobs, []), task=task)
    state: JsonValue = None
    try:
        while record.executions < MAX_EXECUTIONS:
            record.executions += 1
            # As a new worker's process has it: compiled anew, from the same code.
            builder, gate = register({agent.name: agent})[agent.name], CutGate(record, drains)
            agent = afterwards or agent
            try:
                outcome = await drive(builder, work, gate, state=state, conclude=conclude)
                return outcome, record, blobs.get(outcome.result).decode() if outcome.result else ""
            except Stopped as stopped:
                written = canonical(stopped.state)
                record.sizes.append(len(written))
                state = json.loads(written)
        raise AssertionError("the graph gets nowhere")
    finally:
        OVERRIDE.reset(token)
