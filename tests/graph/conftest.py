"""A workflow that drives one graph, with the least that governs it, replayed from the start at every task."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.bare import BareRun, manifest_of, task_queue
from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.langgraph import LangGraphPlugin
from temporalio.worker import Replayer, Worker

from interlock.definitions import AgentDefinition
from interlock.graph import ACTIVITIES, AgentOutcome, AgentTask, Services, configure, register, resolve_model
from interlock.graph.services import Resolve, _configured
from interlock.run.graph_worker import workflow_runner
from interlock.scratch import ScratchBlobs
from interlock.settings import Settings

__all__ = ["BareRun"]

_count = itertools.count(1)


class Ran:
    """A finished run."""

    def __init__(self, outcome: AgentOutcome, history: WorkflowHistory, blobs: ScratchBlobs, seen: Any) -> None:
        self.outcome, self.history, self.blobs, self.seen = outcome, history, blobs, seen

    @property
    def text(self) -> str:
        assert self.outcome.result, self.outcome
        return self.blobs.get(self.outcome.result).decode()


Drive = Callable[..., Awaitable[Ran]]


@pytest.fixture
async def drive_graph(temporal_address: str) -> AsyncIterator[Drive]:
    """Run an agent's graph in a real workflow, then replay its history in a fresh worker's place."""
    client = await Client.connect(temporal_address, data_converter=pydantic_data_converter)
    before = list(_configured)

    async def run(
        agent: AgentDefinition,
        task: Any = "go",
        *,
        playbook: list[dict[str, Any]] | None = None,
        answers: Mapping[str, Any] | None = None,
        resolve: Resolve = resolve_model,
        cached: int = 0,
        again: bool = True,
    ) -> Ran:
        blobs = ScratchBlobs()
        configure(Services(blobs=blobs, settings=Settings.model_construct(), resolve=resolve))
        manifest = manifest_of(agent, blobs, playbook or [{"say": "done"}])
        context = None if agent.context is None else dict(agent.context)
        work = AgentTask(
            agent=agent.name, run=f"bare-{next(_count)}", manifest=manifest, task=task, context=context
        )
        async with _worker(client, agent, cached) as queue:
            handle = await client.start_workflow(
                BareRun.run, args=[work, dict(answers or {})], id=work.run, task_queue=queue
            )
            outcome = await handle.result()
            seen = await handle.query(BareRun.seen)
            history = await handle.fetch_history()
        if again:
            await _replay(agent, history)
        return Ran(outcome, history, blobs, seen)

    yield run
    _configured[:] = before


@asynccontextmanager
async def _worker(client: Client, agent: AgentDefinition, cached: int) -> AsyncIterator[str]:
    queue = task_queue()
    async with Worker(
        client,
        task_queue=queue,
        workflows=[BareRun],
        activities=ACTIVITIES,
        plugins=[LangGraphPlugin(graphs=register({agent.name: agent}))],
        workflow_runner=workflow_runner(),
        max_cached_workflows=cached,
        # Without a cache there is no sticky queue; each task replays the run from its first event.
        max_concurrent_workflow_tasks=4 if cached else 1,
    ):
        yield queue


async def _replay(agent: AgentDefinition, history: WorkflowHistory) -> None:
    replayer = Replayer(
        workflows=[BareRun],
        plugins=[LangGraphPlugin(graphs=register({agent.name: agent}))],
        workflow_runner=workflow_runner(),
        data_converter=pydantic_data_converter,
    )
    await replayer.replay_workflow(history)
