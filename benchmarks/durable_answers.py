"""From a person's approval to the start of the approved call's activity: with the run in the worker's cache, and
cold, when a new worker must bring it back into memory first.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import closing

from durable_ways import Setup
from overhead import Bench

from interlock.audit import ApprovalRow, Ledger
from interlock.run.histories import fetch_history


async def answers(setup: Setup, bench: Bench, lengths: list[int], samples: int) -> list[dict[str, float]]:
    """The median of so many approvals for each length of run, cached and cold, in milliseconds."""
    found = []
    for steps in lengths:
        with setup.worker("graph"):
            cached = [await _answered(bench, one) for one in await _asking(setup, bench, steps, samples)]
            waiting = await _asking(setup, bench, steps, samples)
        with setup.worker("graph"):
            cold = [await _answered(bench, one) for one in waiting]
        found.append(
            {
                "steps": steps,
                "cached p50 ms": round(statistics.median(cached), 1),
                "cold p50 ms": round(statistics.median(cold), 1),
                "cold greatest ms": round(max(cold), 1),
            }
        )
    return found


async def _asking(setup: Setup, bench: Bench, steps: int, count: int) -> list[ApprovalRow]:
    """The requests of runs that wait for their approval after so many steps."""
    starting = (
        bench.runs.start(bench.manifest, f"asks_{steps}", "go", requester="user:alice") for _ in range(count)
    )
    names = await asyncio.gather(*starting)
    with closing(Ledger(setup.settings.effective_ledger_url, read_only=True)) as ledger:
        while True:
            rows = [row for name in names for row in ledger.approvals(run=name)]
            if len(rows) == count:
                return rows
            await asyncio.sleep(0.2)


async def _answered(bench: Bench, row: ApprovalRow) -> float:
    began = time.time()
    await bench.runs.decide(row, "approve", approver="user:carol")
    outcome = await bench.runs.wait(row.run)
    if outcome.status != "completed":
        raise RuntimeError(f"run {outcome.run} {outcome.status}: {outcome.detail}")
    history = await fetch_history(bench.temporal, row.run)
    begun = [
        event.event_time.ToNanoseconds() / 1e9
        for event in history.events
        if event.HasField("activity_task_started_event_attributes")
    ]
    return 1000 * (min(at for at in begun if at >= began) - began)
