"""What a tool call in a sandbox costs, beside plain Docker and other people's sandboxes.

    python benchmarks/sandbox.py [--json] [--check] [--only NAME …] [--rounds N] [--seconds S] [--callers N …]

One run, one image, one small Python function with JSON in and out, the same hardening wherever the peer's
interface takes it (what its container lacks is printed, as the engine reports it). Each way runs in a process
of its own, the peers in virtual environments of their own, made at the first run; a peer that cannot run here
is named with the reason. Times are taken around one call in that process.

Rounds are interleaved in random order: each way makes one call a round, so that whatever else the machine does
meets all alike. Before the next call the pool is given the time to refill; how long that takes is measured,
too, and then calls arrive on a schedule of 0.7 of that rate, refill going on beside them. One call leaves marks
(files, environment, interpreter, a process), and the next looks for them. Last come 1, 4 and 8 callers at a
time, as fast as they can.

Goals, one container a call: p50 at most 15 ms in both, at most 0.7 of the fastest peer that reuses a container,
at least 25 times faster than `docker run` with the same hardening; no mark found.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "sandbox_peers"))

from figures import POOLED, Figures, compare, judge, summary  # noqa: E402
from install import Missing  # noqa: E402
from parts import cpu  # noqa: E402
from ways import WAYS, Bench, Way, say  # noqa: E402
from work import expected  # noqa: E402

PACE = 0.7
"""Of the refill rate."""


def environment(bench: Bench) -> dict[str, str]:
    """What the figures depend on."""
    engine = bench.client.info()
    groups = f"cgroup v{engine.get('CgroupVersion', '1')}"
    return {
        "cpu": cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "python": platform.python_version(),
        "system": platform.platform(),
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "docker": f"{engine['ServerVersion']}, {engine['DefaultRuntime']}, {groups}",
        "docker sdk": version("docker"),
    }


def one_call(bench: Bench, name: str, number: int) -> float | None:
    """Milliseconds of one checked call; None if the way is lost."""
    numbers = [number, 2, 3]
    try:
        reply = bench.workers[name].ask("call", slot=0, function="add", arguments={"numbers": numbers})
        if reply["value"] != expected(numbers):
            raise Missing(f"a wrong answer: {reply['value']!r}")
        bench.workers[name].ask("settle")
    except Missing as error:
        bench.lose(name, error)
        return None
    return float(reply["ms"])


def rounds(bench: Bench, count: int) -> dict[str, list[float]]:
    """Each way once a round; only whole series are kept."""
    kept: dict[str, list[float]] = {name: [] for name in bench.workers}
    for number in range(-1, count):
        say(f"round {number + 1} of {count}")
        order = list(bench.workers)
        random.Random(number).shuffle(order)
        for name in order:
            spent = one_call(bench, name, number)
            # The first round only warms up.
            if spent is not None and number >= 0:
                kept[name].append(spent)
    return {name: kept[name] for name in bench.workers}


def crowds(bench: Bench, callers: list[int], seconds: float) -> dict[str, dict[str, Any]]:
    """Calls a second of each way with so many callers at a time."""
    found: dict[str, dict[str, Any]] = {name: {} for name in bench.workers}
    for count in callers:
        say(f"{count} at a time")
        for name in list(bench.workers):
            try:
                worker = bench.workers[name]
                worker.ask("open", slots=count)
                reply = worker.ask("crowd", slots=count, seconds=seconds)
                found[name][f"calls/s at {count}"] = _rate(reply)
                worker.ask("settle")
            except Missing as error:
                found[name][f"calls/s at {count}"] = f"failed: {error}"
    return found


def _rate(reply: dict[str, Any]) -> float | str:
    if reply["failed"]:
        return f"failed {len(reply['failed'])} times: {reply['failed'][0]}"
    return round(len(reply["ms"]) / reply["seconds"], 1)


def idle_memory(bench: Bench, name: str) -> float | None:
    """MiB of a container that waits, without file cache that the kernel may drop; None if none waits."""
    bench.workers[name].ask("settle")
    sizes = []
    for ident in bench.workers[name].containers:
        memory = bench.client.api.stats(ident, stream=False, one_shot=True)["memory_stats"]
        kept = memory.get("stats", {})
        dropped = kept.get("total_inactive_file", kept.get("inactive_file", 0))
        sizes.append((memory.get("usage", 0) - dropped) / 2**20)
    return round(statistics.median(sizes), 1) if sizes else None


def leaked(bench: Bench, name: str) -> dict[str, Any]:
    """What one call left, what the same caller's next call found of it, and what another caller's call found."""
    arguments = {"mark": f"mark{time.time_ns()}"}
    worker = bench.workers[name]
    worker.ask("open", slots=2)
    planted = worker.ask("call", slot=0, function="plant", arguments=arguments)["value"]
    found = worker.ask("call", slot=0, function="look", arguments=arguments)["value"]
    elsewhere = worker.ask("call", slot=1, function="look", arguments=arguments)["value"]
    return {"planted": planted, "found": found, "found by another caller": elsewhere}


def pace(bench: Bench, count: int) -> Figures:
    """The rate of refill, and calls that arrive at a steady share of it."""
    worker = bench.workers[POOLED]
    worker.ask("settle")
    worker.ask("tally")
    held = max(len(worker.containers), 1)
    worker.ask("crowd", slots=held, seconds=0)
    refill = held / worker.ask("settle")["seconds"]
    worker.ask("tally")
    spent, began = [], time.perf_counter()
    for number in range(count):
        due = began + number / (PACE * refill)
        time.sleep(max(due - time.perf_counter(), 0))
        arguments = {"numbers": [number]}
        spent.append(float(worker.ask("call", slot=0, function="add", arguments=arguments)["ms"]))
    return {
        "containers waiting": held,
        "refill a second": round(refill, 2),
        "arrivals a second": round(PACE * refill, 2),
        **summary(spent),
        "started": worker.ask("tally"),
    }


def measure(bench: Bench, ways: list[Way], options: argparse.Namespace) -> Figures:
    """All figures."""
    found: Figures = {"environment": environment(bench), "ways": {}}
    for way in ways:
        bench.start(way)
    spent = rounds(bench, options.rounds)
    paced = pace(bench, min(options.rounds, 15)) if POOLED in bench.workers else {}
    memory = {name: idle_memory(bench, name) for name in bench.workers}
    leaks = {name: leaked(bench, name) for name in bench.workers}
    rates = crowds(bench, options.callers, options.seconds)
    for way in ways:
        if way.name in spent and way.name in rates:
            found["ways"][way.name] = {
                "kind": way.kind,
                "version": bench.versions.get(way.name, ""),
                **summary(spent[way.name]),
                **rates[way.name],
                "idle MiB": memory.get(way.name),
                "leaked": leaks[way.name],
                "lacks": bench.lacking[way.name],
            }
    found["paced"] = paced
    found["not measured"] = bench.missing
    found["compared"] = compare(spent, {way.name: way.kind for way in ways})
    found["environment"]["load after"] = f"{os.getloadavg()[0]:.1f}"
    return found


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--check", action="store_true", help="exit 1 where a goal is missed")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="measure only ways whose name begins so")
    parser.add_argument("--rounds", type=int, default=30, help="calls of each way, one after the other")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each crowd calls")
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 4, 8], help="sizes of the crowds")
    parser.add_argument("--folder", type=Path, default=HERE.parent / ".interlock" / "benchmarks" / "sandbox")
    options = parser.parse_args()
    ways = [way for way in WAYS if not options.only or way.name.lower().startswith(tuple(options.only))]
    if not ways:
        parser.error(f"--only {options.only}: the ways are {', '.join(way.name for way in WAYS)}")
    # Containers must not outlive a benchmark that is told to stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench(HERE.parent, options.folder)
    try:
        found = measure(bench, ways, options)
    finally:
        bench.end()
    found["met"] = judge(found)
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        _print(found)
        last = found["ways"].get(POOLED, {})
        print(f"{last.get('p50 ms')} ms p50, one container a call; {found['compared']}")
    return 1 if options.check and not all(found["met"].values()) else 0


def _print(found: Figures) -> None:
    for name, value in found.items():
        print(f"{name}:")
        for key, figure in value.items():
            print(f"  {key}: {figure}")


if __name__ == "__main__":
    sys.exit(main())
