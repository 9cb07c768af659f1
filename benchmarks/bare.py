"""The bare Temporal workflow that Interlock is measured beside: the same number of activities, no work in them.

Run as a program it is one of its two workers: `python benchmarks/bare.py graph|executor ADDRESS`.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

GRAPH, EXECUTOR = "bare-graph", "bare-executor"


@dataclass
class Shape:
    """How many activities of each kind a run schedules."""

    models: int
    """Activities on the graph worker's queue."""
    executions: int
    """Activities on the executor's queue."""
    locals: int
    """Local activities."""


@activity.defn
async def model(step: int) -> dict[str, int]:
    """Stands for a model call."""
    return {"step": step}


@activity.defn
async def decide(step: int) -> dict[str, int]:
    """Stands for a decision."""
    return {"step": step}


@activity.defn
async def execute(step: int) -> dict[str, int]:
    """Stands for an execution."""
    return {"step": step}


@workflow.defn
class Bare:
    """The workflow as Temporal comes: its module is imported anew for each run."""

    @workflow.run
    async def run(self, shape: Shape) -> int:
        return await activities(shape)


@workflow.defn(sandboxed=False)
class BareUnsandboxed:
    """The same without Temporal's import sandbox, as `agent_run` is."""

    @workflow.run
    async def run(self, shape: Shape) -> int:
        return await activities(shape)


async def activities(shape: Shape) -> int:
    """Activities one after the other, interleaved as in an agent's run."""
    timeout = timedelta(seconds=60)
    for step in range(max(shape.models, shape.executions, shape.locals)):
        if step < shape.models:
            await workflow.execute_activity(model, step, start_to_close_timeout=timeout)
        if step < shape.locals:
            await workflow.execute_local_activity(decide, step, start_to_close_timeout=timeout)
        if step < shape.executions:
            await workflow.execute_activity(execute, step, task_queue=EXECUTOR, start_to_close_timeout=timeout)
    return shape.executions


async def serve(role: str, address: str) -> None:
    """One worker, until it is stopped."""
    client = await Client.connect(address, data_converter=pydantic_data_converter)
    if role == "graph":
        worker = Worker(client, task_queue=GRAPH, workflows=[Bare, BareUnsandboxed], activities=[model, decide])
    else:
        worker = Worker(client, task_queue=EXECUTOR, activities=[execute])
    async with worker:
        print("serves queue", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2]))
