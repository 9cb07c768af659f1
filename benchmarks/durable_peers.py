"""Peers of `durable.py` that need no Temporal: each a process of its own, told on its input what to run.

    python benchmarks/durable_peers.py WAY [DATABASE]

It reads lines `STEPS RUNS`, runs so many runs of so many steps at once, and answers the seconds they took.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from durable_work import OUTPUT, begun, graph

Work = Callable[[int], Awaitable[Any]]
"""Does one run of so many steps."""


def _graph_run(checkpointer: Any = None) -> Work:
    compiled = graph().compile(checkpointer=checkpointer)

    async def work(steps: int) -> None:
        config: Any = {"configurable": {"thread_id": str(uuid4())}, "recursion_limit": 2 * steps + 10}
        final = await compiled.ainvoke(begun(steps), config)
        assert final["messages"][-1]["text"] == "done"

    return work


@asynccontextmanager
async def langgraph(database: str) -> AsyncIterator[Work]:
    """LangGraph alone: nothing survives the process."""
    yield _graph_run()


@asynccontextmanager
async def langgraph_sqlite(database: str) -> AsyncIterator[Work]:
    """LangGraph with its SQLite checkpointer, which keeps the state after each node."""
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    async with AsyncSqliteSaver.from_conn_string(database) as saver:
        yield _graph_run(saver)


@asynccontextmanager
async def langgraph_postgres(database: str) -> AsyncIterator[Work]:
    """LangGraph with its PostgreSQL checkpointer, on a pool of connections."""
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from psycopg.rows import dict_row
    from psycopg_pool import AsyncConnectionPool

    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    async with AsyncConnectionPool(database, max_size=20, kwargs=options, open=False) as pool:
        saver = AsyncPostgresSaver(pool)  # type: ignore[arg-type]
        await saver.setup()
        yield _graph_run(saver)


@asynccontextmanager
async def dbos(database: str) -> AsyncIterator[Work]:
    """DBOS: a workflow whose model reply, decision and tool call are steps, on PostgreSQL."""
    from dbos import DBOS

    DBOS(config={"name": "durable", "system_database_url": database, "console_log_level": "ERROR"})

    @DBOS.step()
    async def model(number: int) -> dict[str, Any]:
        return {"calls": [{"tool": "note", "arguments": {"text": f"step {number}"}}]}

    @DBOS.step()
    async def decide(number: int) -> dict[str, Any]:
        return {"verdict": "allow"}

    @DBOS.step()
    async def execute(number: int) -> dict[str, Any]:
        return {"output": OUTPUT}

    @DBOS.workflow()
    async def agent(steps: int) -> int:
        for number in range(steps):
            await model(number)
            await decide(number)
            await execute(number)
        await model(steps)
        return steps

    DBOS.launch()
    try:

        async def work(steps: int) -> None:
            handle = await DBOS.start_workflow_async(agent, steps)
            assert await handle.get_result() == steps

        yield work
    finally:
        DBOS.destroy()


WAYS = {way.__name__: way for way in (langgraph, langgraph_sqlite, langgraph_postgres, dbos)}


async def serve(way: str, database: str) -> None:
    """Run what the input says."""
    loop = asyncio.get_running_loop()
    async with WAYS[way](database) as work:
        print("serves queue", flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            steps, runs = map(int, line.split())
            began = time.perf_counter()
            await asyncio.gather(*(work(steps) for _ in range(runs)))
            print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""))
