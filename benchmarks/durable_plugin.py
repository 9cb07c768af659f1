"""The plain `temporalio-langgraph` plugin beside which Interlock is measured: each node an activity, its state in
Temporal's history. Run as a program it is the worker: `python benchmarks/durable_plugin.py ADDRESS`.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from durable_work import begun, graph
from temporalio import workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.langgraph import LangGraphPlugin
from temporalio.langgraph import graph as plugged
from temporalio.worker import Worker

QUEUE = "plain-plugin"


@workflow.defn(sandboxed=False)
class PlainAgent:
    """One run."""

    @workflow.run
    async def run(self, steps: int) -> int:
        """Call the tool so often."""
        config = {"recursion_limit": 2 * steps + 10}
        final = await plugged("agent").compile().ainvoke(begun(steps), config)  # type: ignore[arg-type]
        return len(final["messages"])


async def serve(address: str) -> None:
    """The worker, until it is stopped."""
    client = await Client.connect(address, data_converter=pydantic_data_converter)
    options = {"execute_in": "activity", "start_to_close_timeout": timedelta(seconds=60)}
    plugin = LangGraphPlugin(graphs={"agent": graph(**options)})
    async with Worker(client, task_queue=QUEUE, workflows=[PlainAgent], plugins=[plugin]):
        print("serves queue", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
