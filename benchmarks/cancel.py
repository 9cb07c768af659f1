"""How soon a cancel reaches the sandbox: from a person's word until the call's container is gone.

    python benchmarks/cancel.py [--json] [--check] [--quick] [--samples N] [--runs N]

A Temporal server, both worker roles as processes, containers of a real engine. A run's only reply calls a tool that
sleeps for a minute, once or eleven times side by side. When every call has its container, and after a while that is
spread evenly over two heartbeats, in random order, a person cancels the run. Time is taken from before
`RunClient.control` until the engine says that the container died, and that it is gone; each call counts, so that of
eleven the last counts, too.

Goal: at most 2000 ms until the container is gone, of every call.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
from overhead import _print
from parts import environment, given_to_workers, new_project, new_settings, temporal_server, workers, write_agent
from temporalio.api.enums.v1 import EventType

from interlock.audit import open_blobs
from interlock.definitions import Manifest
from interlock.run.client import RunClient
from interlock.run.compilation import compiled
from interlock.run.connection import connect
from interlock.run.executor import BEAT_S
from interlock.run.histories import fetch_history
from interlock.sandbox.claiming import container_name
from interlock.sandbox.engine import connect as connect_engine
from interlock.settings import Settings
from interlock.signing import load_signer

GOAL_MS = 2000
CROWD = 11
"""Calls side by side: one, and ten others."""
SETTLED_S = 0.5
"""From the last container's name until the earliest cancel: then its tool sleeps."""
PATIENCE_S = 90.0

TOOL = '''import time

from interlock import tool


@tool(action="read")
def doze(number: int) -> str:
    """Sleep for a minute."""
    time.sleep(60)
    return "slept"
'''
RULES = "rules:\n  - {id: sleep, effect: allow, owner: bench, agent: agent:*, tool: doze}\n"
PROFILE = "profiles:\n  - {name: default, memory_mib: 64, time_s: 120}\n"


def write_project(root: Path, crowds: list[int]) -> Path:
    """One agent for each number of calls: `sleeps_N` makes N at once."""
    new_project(root, "doze", TOOL, RULES, PROFILE)
    for count in crowds:
        calls = [{"tool": "doze", "arguments": {"number": number}} for number in range(count)]
        write_agent(root, f"sleeps_{count}", 'prompt="Sleep.", tools=["doze"]', [{"say": "", "calls": calls}])
    return root


@dataclass
class Engine:
    """What the engine says happened to containers, and when it was heard here."""

    api: docker.APIClient = field(default_factory=connect_engine)
    ends: dict[tuple[str, str], float] = field(default_factory=dict)
    """(container, `die` or `destroy`) → the clock when it was heard."""

    def __post_init__(self) -> None:
        said = self.api.events(filters={"type": "container", "event": ["die", "destroy"]}, decode=True)
        threading.Thread(target=self._listen, args=(said,), daemon=True).start()

    def _listen(self, said: Any) -> None:
        for event in said:
            self.ends.setdefault((event["id"], event["Action"]), time.perf_counter())

    def named(self, names: set[str]) -> dict[str, str]:
        """Those of these names that there are, with their ids."""
        rows = self.api.containers(all=True, filters={"label": "interlock.sandbox"})
        return {name[1:]: row["Id"] for row in rows for name in row["Names"] or () if name[1:] in names}

    async def until_there(self, names: set[str]) -> list[str]:
        """Wait until each call has its container; their ids."""
        ends = time.perf_counter() + PATIENCE_S
        while len(found := await asyncio.to_thread(self.named, names)) < len(names):
            if time.perf_counter() > ends:
                raise RuntimeError(f"only {len(found)} of {len(names)} calls got a container")
            await asyncio.sleep(0.1)
        return list(found.values())

    async def until(self, idents: list[str], what: str) -> list[float]:
        """Wait until that has happened to all; when it did."""
        ends = time.perf_counter() + PATIENCE_S
        while not all((ident, what) in self.ends for ident in idents):
            if time.perf_counter() > ends:
                raise RuntimeError(f"the engine did not say {what!r} of every container")
            await asyncio.sleep(0.02)
        return [self.ends[ident, what] for ident in idents]


@contextmanager
def bench(folder: Path, crowds: list[int]) -> Iterator[Settings]:
    """A server, a project, and both workers."""
    root = write_project(folder / "project", crowds)
    with temporal_server(folder) as address:
        settings = new_settings(root, address, name="cancel")
        own = [["-m", "interlock.cli.main", "worker", role] for role in ("executor", "graph")]
        with workers(*own, given=given_to_workers(settings), cwd=root):
            yield settings


@dataclass
class Bench:
    """What is measured on."""

    runs: RunClient
    manifest: Manifest
    engine: Engine

    async def cancelled(self, calls: int, after_s: float) -> dict[str, list[float]]:
        """Cancel a run with so many calls under way; milliseconds from then, of each call."""
        run = await self.runs.start(self.manifest, f"sleeps_{calls}", "go", requester="user:alice")
        names = {container_name(f"{run}:c{number + 1}") for number in range(calls)}
        idents = await self.engine.until_there(names)
        await asyncio.sleep(SETTLED_S + after_s)
        began, on_the_clock = time.perf_counter(), time.time()
        await self.runs.control(run, "cancel", by="user:alice", reason="a benchmark")
        answered = time.perf_counter()
        died, gone = [await self.engine.until(idents, what) for what in ("die", "destroy")]
        outcome = await self.runs.wait(run)
        left = await asyncio.to_thread(self.engine.named, names)
        if outcome.status != "cancelled" or left:
            raise RuntimeError(f"run {run} {outcome.status} ({outcome.detail}), containers left: {left}")
        return {
            "answered": [1000 * (answered - began)],
            "asked of the executor": [1000 * (at - on_the_clock) for at in await self._asked(run)],
            "tool dead": [1000 * (at - began) for at in died],
            "container gone": [1000 * (at - began) for at in gone],
        }

    async def _asked(self, run: str) -> list[float]:
        """When the server took the workflow's wish that a call be cancelled, for the executor's next beat."""
        history = await fetch_history(self.runs.temporal, run)
        wished = EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED
        return [event.event_time.ToMicroseconds() / 1e6 for event in history.events if event.event_type == wished]


async def measure(settings: Settings, samples: dict[int, int]) -> dict[str, Any]:
    """All figures; `samples` is how many runs there are of each number of calls."""
    blobs = open_blobs(settings)
    client = await connect(settings)
    runs = RunClient(client, settings, blobs, load_signer(settings.keys_folder, "api"))
    both = Bench(runs, compiled(settings, blobs), Engine())
    figures: dict[str, Any] = {"environment": environment() | _engine(both.engine.api)}
    await both.cancelled(1, 0)  # the first run pays for what is imported and connected once
    for calls, count in samples.items():
        places = [2 * BEAT_S * (number + 0.5) / count for number in range(count)]
        random.Random(calls).shuffle(places)
        spent: dict[str, list[float]] = {}
        for number, after_s in enumerate(places):
            print(f"{calls} at once, run {number + 1} of {count}", file=sys.stderr, flush=True)
            for what, found in (await both.cancelled(calls, after_s)).items():
                spent.setdefault(what, []).extend(found)
        figures[_title(calls)] = {"runs": count, **_summary(spent)}
    figures["environment"]["load after"] = f"{os.getloadavg()[0]:.1f}"
    return figures


def _title(calls: int) -> str:
    return "one call" if calls == 1 else f"{calls} calls at once"


def _engine(api: docker.APIClient) -> dict[str, str]:
    found = api.info()
    groups = f"cgroup v{found.get('CgroupVersion', '1')}"
    return {"docker": f"{found['ServerVersion']}, {found['DefaultRuntime']}, {groups}", "beat": f"{BEAT_S} s"}


def _summary(spent: dict[str, list[float]]) -> dict[str, float]:
    found: dict[str, float] = {"calls": len(spent["container gone"])}
    for what, values in spent.items():
        found[f"{what}: p50 ms"] = round(statistics.median(values))
        found[f"{what}: max ms"] = round(max(values))
    return found


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--check", action="store_true", help="exit 1 where a goal is missed")
    parser.add_argument("--quick", action="store_true", help="a run of each kind or two, for a smoke test")
    parser.add_argument("--samples", type=int, default=30, help="runs with one call")
    parser.add_argument("--runs", type=int, default=10, help=f"runs with {CROWD} calls at once")
    options = parser.parse_args()
    samples = {1: 2, 3: 1} if options.quick else {1: options.samples, CROWD: options.runs}
    with tempfile.TemporaryDirectory(prefix="cancel-") as folder, bench(Path(folder), list(samples)) as settings:
        figures = asyncio.run(measure(settings, samples))
    kinds = [_title(calls) for calls in samples]
    figures["met"] = {
        f"{kind}: gone in at most {GOAL_MS} ms": figures[kind]["container gone: max ms"] <= GOAL_MS
        for kind in kinds
    }
    if options.json:
        print(json.dumps(figures, indent=1))
    else:
        _print(figures)
        print("; ".join(_told(kind, figures[kind]) for kind in kinds))
    return 1 if options.check and not all(figures["met"].values()) else 0


def _told(kind: str, found: dict[str, float]) -> str:
    return f"{kind}: gone after {found['container gone: p50 ms']} ms p50, {found['container gone: max ms']} ms max"


if __name__ == "__main__":
    sys.exit(main())
