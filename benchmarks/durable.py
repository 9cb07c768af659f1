"""What durability costs: steps a second of an agent by seven ways, the history they leave, the wait for a person.

    python benchmarks/durable.py [--json] [--check] [--quick]

A step is one model reply and one tool call whose output has 2 kB. All ways run on one machine in turns, in another
order each round; ratios are medians over rounds. Interlock's tools run by the in-process driver: what is measured
is policy, ledger, receipts, encryption and workflow, not the sandbox, which `sandbox.py` measures.

Goals: at 10 runs at once at least 0.8 of bare Temporal with as many activities; 150 calls leave at most 0.3 MB of
history, and bytes a step do not grow with the run; from an approval to the start of the approved call's activity at
most 40 ms with the run in the worker's cache and 500 ms cold, at any length.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bare
import durable_plugin
import psutil
from durable_answers import answers
from durable_ways import Bare, Governed, Plugin, Setup, Way, peers, set_up
from overhead import Bench, _print
from parts import environment, workers

RATIO_GOAL = 0.8
FLAT_GOAL = 1.1
HISTORY_GOAL = 300_000
"""Bytes for 150 calls."""
CACHED_GOAL_MS, COLD_GOAL_MS = 40, 500
STEPS = 10
"""Of each run whose speed is measured."""


@dataclass
class Extent:
    """How much is measured."""

    crowds: dict[int, int]
    """Runs at once → rounds."""
    lengths: list[int]
    """Calls of the runs whose history is measured; the last but one is what the goal is about."""
    asking: list[int]
    """Steps before an approval."""
    samples: int


LONG = Extent({1: 9, 10: 7, 50: 3}, [10, 150, 1000], [20, 450], 7)
QUICK = Extent({1: 1, 2: 1}, [10, 12, 20], [5], 1)


async def measure(setup: Setup, extent: Extent, folder: Path) -> dict[str, Any]:
    """All figures."""
    bench = await setup.bench()
    with ExitStack() as stack:
        executor = stack.enter_context(setup.worker("executor"))
        others, missing = stack.enter_context(peers(folder))
        address = setup.settings.temporal_address
        own = [[str(Path(bare.__file__)), role, address] for role in ("executor", "graph")]
        bare_pids = [one.pid for one in stack.enter_context(workers(*own))]
        (plain,) = stack.enter_context(workers([str(Path(durable_plugin.__file__)), address]))
        plugin = Plugin(bench.plain, [setup.server, plain.pid])
        with setup.worker("graph") as graph:
            await bench.governed(STEPS)
            ways: list[Way] = [
                Governed(bench, [setup.server, executor, graph]),
                Bare(bench.plain, await _shape(bench), [setup.server, *bare_pids]),
                plugin,
                *others,
            ]
            rates = [await _rates(ways, runs, rounds) for runs, rounds in extent.crowds.items()]
            history = [await _history(bench, count) for count in extent.lengths]
        beside = await _plugin_history(plugin, bench, extent.lengths[-2])
        waits = await answers(setup, bench, extent.asking, extent.samples)
    return {
        "environment": environment(),
        "not measured": missing,
        "rates": rates,
        "history": history,
        "history of the plugin": beside,
        "from an approval to the next activity": waits,
    }


async def _shape(bench: Bench) -> bare.Shape:
    types, _ = await bench.history()
    return bare.Shape(
        models=types["queue graph"],
        executions=types["queue executor"],
        locals=types["EVENT_TYPE_MARKER_RECORDED"],
    )


async def _rates(ways: list[Way], runs: int, rounds: int) -> dict[str, Any]:
    """Steps a second and CPU a step of each way; Interlock beside bare Temporal, round by round."""
    speeds: dict[str, list[float]] = {way.name: [] for way in ways}
    costs: dict[str, list[float]] = {way.name: [] for way in ways}
    for number in range(rounds):
        for way in random.Random(number).sample(ways, len(ways)):
            used, began = _cpu(way), time.perf_counter()
            await way.run(STEPS, runs)
            took = time.perf_counter() - began
            speeds[way.name].append(STEPS * runs / took)
            costs[way.name].append(1000 * (_cpu(way) - used) / (STEPS * runs))
    ratios = [own / other for own, other in zip(speeds["interlock"], speeds["bare temporal"], strict=True)]
    return {
        "runs at once": runs,
        "rounds": rounds,
        "ratio to bare temporal": round(statistics.median(ratios), 3),
        "least ratio": round(min(ratios), 3),
        "greatest ratio": round(max(ratios), 3),
        **{f"{name}: steps/s": round(statistics.median(found), 1) for name, found in speeds.items()},
        **{f"{name}: CPU ms a step": round(statistics.median(found), 1) for name, found in costs.items()},
    }


def _cpu(way: Way) -> float:
    """Seconds of CPU time that the way's processes have had, their children included."""
    total = 0.0
    for pid in way.processes():
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            times = process.cpu_times()
            total += times.user + times.system
    return total


async def _history(bench: Bench, count: int) -> dict[str, float]:
    await bench.governed(count)
    types, size = await bench.history()
    events = sum(n for name, n in types.items() if name.startswith("EVENT_TYPE"))
    return {
        "calls": count,
        "bytes": size,
        "executions": types["EVENT_TYPE_WORKFLOW_EXECUTION_STARTED"],
        "events a step": round(events / count, 2),
        "bytes a step": round(size / count),
    }


async def _plugin_history(plugin: Plugin, bench: Bench, count: int) -> dict[str, float]:
    await plugin.run(count, 1)
    history = await bench.plain.get_workflow_handle(plugin.last).fetch_history()
    size = sum(event.ByteSize() for event in history.events)
    return {"calls": count, "bytes": size, "bytes a step": round(size / count)}


def met(figures: dict[str, Any], extent: Extent) -> dict[str, bool]:
    """Each goal, and whether it is met."""
    crowd = next((row for row in figures["rates"] if row["runs at once"] == 10), figures["rates"][-1])
    rows, waits = figures["history"], figures["from an approval to the next activity"]
    flat = rows[-1]["bytes a step"] / rows[0]["bytes a step"]
    return {
        f"{crowd['runs at once']} runs: ratio to bare temporal >= {RATIO_GOAL}": crowd["ratio to bare temporal"]
        >= RATIO_GOAL,
        f"{rows[-2]['calls']} calls: bytes <= {HISTORY_GOAL}": rows[-2]["bytes"] <= HISTORY_GOAL,
        f"bytes a step grow <= {FLAT_GOAL} times": flat <= FLAT_GOAL,
        f"cached p50 <= {CACHED_GOAL_MS} ms": all(row["cached p50 ms"] <= CACHED_GOAL_MS for row in waits),
        f"cold p50 <= {COLD_GOAL_MS} ms": all(row["cold p50 ms"] <= COLD_GOAL_MS for row in waits),
    }


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--check", action="store_true", help="exit 1 where a goal is missed")
    parser.add_argument("--quick", action="store_true", help="few rounds and short runs, for a smoke test")
    options = parser.parse_args()
    extent = QUICK if options.quick else LONG
    with tempfile.TemporaryDirectory(prefix="durable-") as name:
        with set_up(Path(name), sorted({STEPS, *extent.lengths}), extent.asking) as setup:
            figures = asyncio.run(measure(setup, extent, Path(name)))
    figures["met"] = met(figures, extent)
    if options.json:
        print(json.dumps(figures, indent=1))
    else:
        _print(figures)
        crowd = next((row for row in figures["rates"] if row["runs at once"] == 10), figures["rates"][-1])
        history = figures["history"][-2]
        print(
            f"{crowd['ratio to bare temporal']} of bare Temporal at {crowd['runs at once']} runs; "
            f"{history['bytes']} bytes of history for {history['calls']} calls"
        )
    return 1 if options.check and not all(figures["met"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
