"""What governing costs: steps a second of an agent's run beside a bare Temporal workflow of as many activities.

    python benchmarks/overhead.py [--json] [--check] [--quick]

A step is one model reply and one tool call. Both sides run on one server, each with two worker processes, in
turns; figures are medians of paired rounds. Tools are trivial and run by the in-process driver, so that what is
measured is policy, ledger, transcript and workflow, not the sandbox. Goals: at least 0.6 of bare Temporal, and
history bytes a step that do not grow with the length of the run.

Bare Temporal is measured twice: as it comes, which is what the goal is about, and without its import sandbox,
which `agent_run` does without, too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import bare
from parts import (
    environment,
    given_to_workers,
    in_process_settings,
    new_project,
    temporal_server,
    workers,
    write_agent,
)
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from interlock.audit import open_blobs
from interlock.definitions import Manifest
from interlock.run.client import RunClient
from interlock.run.compilation import compiled
from interlock.run.connection import connect
from interlock.run.histories import fetch_history
from interlock.settings import Settings
from interlock.signing import load_signer

RATIO_GOAL = 0.6
FLAT_GOAL = 1.10
"""Most that bytes a step of the longest run may be of those of the shortest."""

TOOL = '''from interlock import tool


@tool(action="read")
def note(text: str) -> str:
    """Note a text."""
    return f"noted {text}"
'''
RULES = "rules:\n  - {id: notes, effect: allow, owner: bench, agent: agent:*, tool: note}\n"


def write_project(root: Path, lengths: list[int]) -> Path:
    """One agent for each length of run: `calls_N` makes N calls, one a reply."""
    new_project(root, "note", TOOL, RULES, "profiles:\n  - {name: default}\n")
    for count in lengths:
        turns = [{"say": "", "calls": [{"tool": "note", "arguments": {"text": f"step {n}"}}]} for n in range(count)]
        options = 'prompt="Note.", tools=["note"], max_steps=9999'
        write_agent(root, f"calls_{count}", options, [*turns, {"say": "done"}])
    return root


@dataclass
class Bench:
    """Both sides, running."""

    temporal: Client
    plain: Client
    """Speaks to workers that are not Interlock's, whose payloads are not encrypted."""
    runs: RunClient
    manifest: Manifest
    last: str = ""
    """The governed run that ended last."""

    async def governed(self, count: int, concurrent: int = 1) -> float:
        """Seconds that `concurrent` governed runs of `count` calls take."""
        began = time.perf_counter()
        started = [
            self.runs.start(self.manifest, f"calls_{count}", "go", requester="user:alice")
            for _ in range(concurrent)
        ]
        names = await asyncio.gather(*started)
        outcomes = await asyncio.gather(*(self.runs.wait(name) for name in names))
        took = time.perf_counter() - began
        for outcome in outcomes:
            if outcome.status != "completed":
                raise RuntimeError(f"run {outcome.run} {outcome.status}: {outcome.detail}")
        self.last = names[-1]
        return took

    async def bare(self, shape: bare.Shape, concurrent: int = 1, *, kind: type = bare.Bare) -> float:
        """Seconds that `concurrent` bare workflows of that shape take."""
        began = time.perf_counter()
        name = f"bare-{time.time_ns()}"
        await asyncio.gather(
            *(
                self.plain.execute_workflow(kind.__name__, shape, id=f"{name}-{n}", task_queue=bare.GRAPH)
                for n in range(concurrent)
            )
        )
        return time.perf_counter() - began

    async def history(self) -> tuple[Counter[str], int]:
        """Event types and bytes of the last governed run's history, over all its executions."""
        history = await fetch_history(self.temporal, self.last)
        types = Counter(EventType.Name(event.event_type) for event in history.events)
        queues = Counter(
            event.activity_task_scheduled_event_attributes.task_queue.name.rpartition("-")[2]
            for event in history.events
            if event.HasField("activity_task_scheduled_event_attributes")
        )
        return types + Counter({f"queue {name}": n for name, n in queues.items()}), sum(
            event.ByteSize() for event in history.events
        )


async def plain_client(settings: Settings) -> Client:
    """A client as Temporal comes, with pydantic's JSON."""
    return await Client.connect(settings.temporal_address, data_converter=pydantic_data_converter)


@contextmanager
def bench(folder: Path, lengths: list[int]) -> Iterator[tuple[Settings, str]]:
    """A server, a project, and four worker processes."""
    root = write_project(folder / "project", lengths)
    with temporal_server(folder) as address:
        settings = in_process_settings(root, address, name="overhead")
        own = [["-m", "interlock.cli.main", "worker", role] for role in ("executor", "graph")]
        other = [[str(Path(bare.__file__)), role, address] for role in ("executor", "graph")]
        with workers(*own, given=given_to_workers(settings), cwd=root), workers(*other):
            yield settings, address


async def measure(settings: Settings, lengths: list[int], rounds: int, crowd: int) -> dict[str, Any]:
    """All figures."""
    client = await connect(settings)
    blobs = open_blobs(settings)
    runs = RunClient(client, settings, blobs, load_signer(settings.keys_folder, "api"))
    both = Bench(client, await plain_client(settings), runs, compiled(settings, blobs))
    await both.governed(10)
    shape = await _shape(both)
    for kind in (bare.Bare, bare.BareUnsandboxed):
        await both.bare(shape, kind=kind)
    return {
        "environment": environment(),
        "activities of a run of 10 calls": asdict(shape),
        "one run": await _paired(both, shape, rounds, 1),
        f"{crowd} runs": await _paired(both, shape, max(rounds // 3, 1), crowd),
        "history": [await _history(both, count) for count in lengths],
    }


async def _shape(both: Bench) -> bare.Shape:
    """The activities of a governed run of 10 calls, counted from its history."""
    types, _ = await both.history()
    return bare.Shape(
        models=types["queue graph"],
        executions=types["queue executor"],
        locals=types["EVENT_TYPE_MARKER_RECORDED"],
    )


async def _paired(both: Bench, shape: bare.Shape, rounds: int, concurrent: int) -> dict[str, float]:
    """Rounds in turns, each side once; steps a second, and the medians of the paired ratios."""
    sides: dict[str, Callable[[], Awaitable[float]]] = {
        "interlock": lambda: both.governed(10, concurrent),
        "bare": lambda: both.bare(shape, concurrent),
        "bare unsandboxed": lambda: both.bare(shape, concurrent, kind=bare.BareUnsandboxed),
    }
    kept: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds):
        for side, work in list(sides.items())[:: 1 if number % 2 == 0 else -1]:
            kept[side].append(10 * concurrent / await work())
    ratios = [own / other for own, other in zip(kept["interlock"], kept["bare"], strict=True)]
    strict = [own / other for own, other in zip(kept["interlock"], kept["bare unsandboxed"], strict=True)]
    return {
        **{f"{side} steps/s": round(statistics.median(speeds), 1) for side, speeds in kept.items()},
        "ratio": round(statistics.median(ratios), 3),
        "least ratio": round(min(ratios), 3),
        "greatest ratio": round(max(ratios), 3),
        "ratio to unsandboxed": round(statistics.median(strict), 3),
        "rounds": rounds,
    }


async def _history(both: Bench, count: int) -> dict[str, float]:
    await both.governed(count)
    types, size = await both.history()
    events = sum(n for name, n in types.items() if name.startswith("EVENT_TYPE"))
    return {"calls": count, "events a step": round(events / count, 2), "bytes a step": round(size / count)}


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--check", action="store_true", help="exit 1 where a goal is missed")
    parser.add_argument("--quick", action="store_true", help="few rounds and short runs, for a smoke test")
    options = parser.parse_args()
    lengths, rounds, crowd = ([10, 20], 2, 2) if options.quick else ([10, 100, 300], 15, 10)
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        with bench(Path(folder), lengths) as (settings, _):
            figures = asyncio.run(measure(settings, lengths, rounds, crowd))
    sizes = [row["bytes a step"] for row in figures["history"]]
    figures["growth of bytes a step"] = round(sizes[-1] / sizes[0], 3)
    ratio = figures["one run"]["ratio"]
    figures["met"] = {
        f"ratio >= {RATIO_GOAL}": ratio >= RATIO_GOAL,
        f"growth <= {FLAT_GOAL}": figures["growth of bytes a step"] <= FLAT_GOAL,
    }
    if options.json:
        print(json.dumps(figures, indent=1))
    else:
        _print(figures)
        print(f"{ratio} of bare Temporal; bytes a step grow {figures['growth of bytes a step']} times")
    return 1 if options.check and not all(figures["met"].values()) else 0


def _print(figures: dict[str, Any]) -> None:
    for name, value in figures.items():
        rows = value if isinstance(value, list) else [value]
        print(f"{name}:")
        for row in rows:
            for key, figure in row.items() if isinstance(row, dict) else [("", row)]:
                print(f"  {key}: {figure}" if key else f"  {figure}")


if __name__ == "__main__":
    sys.exit(main())
