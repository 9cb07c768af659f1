"""One worker role as one process: connect, serve, stop on SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import Final, Literal

from temporalio.client import Client
from temporalio.worker import Worker
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential

from interlock.errors import Unreachable
from interlock.run.connection import connect
from interlock.settings import Settings

RoleName = Literal["graph", "executor"]
PATIENCE_S: Final = 60
"""How long a worker waits for Temporal when it starts."""


async def serve(role: RoleName, settings: Settings, ready: Callable[[str], None]) -> None:
    """Run a worker until a signal stops it.

    Args:
        role: which worker.
        settings: the project's.
        ready: called once it takes work, with a line that says so.

    Raises:
        Unreachable: no Temporal server within a minute; a key or store is missing.
        ProjectError, PolicyError: the project does not load.
    """
    # Otherwise nobody would read which policy a worker runs: only warnings are printed.
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("interlock").setLevel(logging.INFO)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    client = await _connected(settings)
    # Each role loads its own half alone: the other's is a second or more, and none of its business.
    if role == "executor":
        from interlock.run.erasing import keep_erased
        from interlock.run.executor_worker import executor_worker, make_executor
        from interlock.run.keeping import keep_ready

        executor = make_executor(settings)
        keeping = [asyncio.create_task(one) for one in (keep_ready(executor, settings), keep_erased(executor))]
        try:
            await _until(stop, executor_worker(client, settings, executor), f"executor {executor.name}", ready)
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
            await executor.driver.close()
    else:
        from interlock.run.graph_worker import graph_worker

        await _until(stop, graph_worker(client, settings), "graph worker", ready)


async def _until(stop: asyncio.Event, worker: Worker, what: str, ready: Callable[[str], None]) -> None:
    async with worker:
        ready(f"{what} serves queue {worker.task_queue}")
        await stop.wait()


async def _connected(settings: Settings) -> Client:
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(Unreachable),
        stop=stop_after_delay(PATIENCE_S),
        wait=wait_exponential(multiplier=0.2, max=2),
        reraise=True,
    ):
        with attempt:
            return await connect(settings)
    raise AssertionError("unreachable: the last attempt raises")
