"""A trial run of a graph for `interlock check`: once, in this process, with a stand-in model and gate.

It finds what no type checker sees: a loop that never ends, an edge to nowhere, state that cannot cross an
activity boundary, workflow code that needs a thread. The loop that it runs on has no threads outside
activities, as a workflow's has none.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, Final

from pydantic import JsonValue

from interlock.definitions.agent import AgentDefinition
from interlock.definitions.manifest import AgentEntry, Manifest, ToolEntry, ToolSchema
from interlock.digest import canonical, digest_bytes
from interlock.errors import ProjectError, Refused
from interlock.graph.conclude import Concluded, Ending, store
from interlock.graph.draw import mermaid
from interlock.graph.drive import drive
from interlock.graph.gate import CallResult, ModelReply, ProposedCall
from interlock.graph.playbook import PlaybookCall, Turn
from interlock.graph.prepare import Graph
from interlock.graph.record import inside_activity
from interlock.graph.registry import register
from interlock.graph.scripted import NAME, ScriptedModel
from interlock.graph.services import OVERRIDE, Services
from interlock.graph.task import AgentOutcome, AgentTask
from interlock.scratch import ScratchBlobs
from interlock.settings import Settings

TIME_S: Final = 10.0
MAX_REPLIES: Final = 25
_NOTHING: Final = digest_bytes(b"")


def smoke(agent: AgentDefinition, builder: Graph | None = None, *, time_s: float = TIME_S) -> str:
    """Run an agent's graph once; returns its Mermaid text.

    Args:
        agent: whose graph it is.
        builder: from `register`; None: the agent's own, registered here.
        time_s: seconds after which the graph counts as one that never ends.

    Raises:
        ProjectError: the graph cannot be registered, failed, or did not end.
    """
    ready = builder if builder is not None else register({agent.name: agent})[agent.name]
    trial = _Trial(agent, ready)
    # On a thread of its own, because a loop without an await cannot be interrupted otherwise.
    thread = threading.Thread(target=trial.run, daemon=True, name=f"smoke-{agent.name}")
    thread.start()
    thread.join(time_s)
    if thread.is_alive():
        raise ProjectError(f"{agent.name}: the graph did not end within {time_s:g} s of a trial run")
    if trial.problem:
        raise ProjectError(f"{agent.name}: {trial.problem}")
    return mermaid(ready)


class _Trial:
    def __init__(self, agent: AgentDefinition, builder: Graph) -> None:
        self.agent, self.builder = agent, builder
        self.gate, self.blobs = _Gate(), ScratchBlobs()
        self.problem = ""

    def run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_Loop) as runner:
                outcome = runner.run(self._drive())
        except Exception as error:
            self.problem = f"{type(error).__name__}: {error}"
            return
        # What comes after a person's answer depends on the answer, which nobody gave.
        if outcome.status == "failed" and not (self.gate.asked and not self.gate.exhausted):
            self.problem = outcome.detail

    async def _drive(self) -> AgentOutcome:
        services = Services(self.blobs, Settings.model_construct(), resolve=lambda *_: _model(self.agent))
        OVERRIDE.set(services)

        async def conclude(ending: Ending) -> Concluded:
            return store(services, ending)

        context = None if self.agent.context is None else dict(self.agent.context)
        manifest = self.blobs.put(canonical(_manifest(self.agent, self.blobs).as_hashed()))
        task = AgentTask(agent=self.agent.name, run="check", manifest=manifest, task="a trial run", context=context)
        return await drive(self.builder, task, self.gate, conclude=conclude)


class _Loop(asyncio.SelectorEventLoop):
    """Has threads in activities only, as under Temporal."""

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        if not inside_activity():
            raise NotImplementedError(
                "workflow code needs a thread, and a workflow has none: make the function async, or let its "
                "node run as an activity"
            )
        return super().run_in_executor(executor, func, *args)


class _Gate:
    """Answers ok to everything."""

    def __init__(self) -> None:
        self.replies = 0
        self.asked = False

    draining = False

    def asking(self) -> None:
        return None

    @property
    def exhausted(self) -> bool:
        return self.replies > MAX_REPLIES

    async def responded(self, agent: str, before: str, reply: ModelReply) -> None:
        self.replies += 1
        if self.exhausted:
            raise Refused(f"the model was asked more than {MAX_REPLIES} times and the graph did not end")

    async def call(self, agent: str, calls: Sequence[ProposedCall], *, place: str) -> list[CallResult]:
        return [
            CallResult(model_call_id=call.model_call_id, tool=call.tool, status="ok", text="a trial result")
            for call in calls
        ]

    async def ask(self, agent: str, question: JsonValue, *, place: str) -> JsonValue:
        self.asked = True
        return "yes"


def _model(agent: AgentDefinition) -> ScriptedModel:
    first = (Turn(say="A call.", calls=(PlaybookCall(tool=agent.tools[0]),)),) if agent.tools else ()
    return ScriptedModel(turns=(*first, Turn(say="Done.")), source="the trial run")


def _manifest(agent: AgentDefinition, blobs: ScratchBlobs) -> Manifest:
    prompt = blobs.put(agent.prompt.encode())
    entry = AgentEntry(
        source=_NOTHING,
        prompt=prompt,
        graph=_NOTHING,
        model=NAME,
        tools=agent.tools,
        max_steps=agent.max_steps,
        max_tokens=agent.max_tokens,
        custom=agent.graph is not None,
        context=None if agent.context is None else dict(agent.context),
    )
    tools = {name: _tool(name) for name in agent.tools}
    return Manifest(
        project="check",
        engine="",
        agents={agent.name: entry},
        tools=tools,
        workflows={},
        images={},
        policy=_NOTHING,
    )


def _tool(name: str) -> ToolEntry:
    schema = ToolSchema(
        name=name,
        description="",
        parameters={"type": "object"},
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
    return ToolEntry(source=_NOTHING, path="", schema_=schema)
