"""What must hold afterwards, of every run and of the machine."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from chaos.campaign import Campaign
from chaos.errands import APPENDED, OUTSIDE
from chaos.world import World

from interlock.audit import CallRow
from interlock.digest import parse
from interlock.events import CallProposed, CallUnknown, Event, RunEnded
from interlock.run.histories import fetch_history
from interlock.run.replay import replay
from interlock.types import Tree


@dataclass
class Judge:
    """Looks at everything once all is over, and lists what does not hold."""

    campaign: Campaign
    wrong: list[str] = field(default_factory=list)
    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Fault → what became of the calls of its runs."""

    @property
    def world(self) -> World:
        return self.campaign.world

    async def judge(self) -> None:
        """Every run, and that the outside knows of nothing else."""
        for run, agent in self.world.runs.items():
            for message in [*await self._verified(run), *self._judged(run, agent)]:
                self.wrong.append(f"{run} (step {self.campaign.of[run]}): {message}")
        for what in set(self.world.outside.effects) - {
            f"{tool}/{run}" for run in self.world.runs for tool in OUTSIDE
        }:
            self.wrong.append(f"nobody knows of {what}, which took effect")
        for alarm in self.world.runtime.ledger.alarms():
            self.wrong.append(f"alarm {alarm.kind} in {alarm.run}, though nobody did wrong: {alarm.detail}")

    async def _verified(self, run: str) -> list[str]:
        there = self.world.runtime
        history = await fetch_history(there.temporal, run)
        verdict = await replay(
            run, there.settings, there.ledger, there.blobs, history=history, content=there.content
        )
        return [f"the record does not hold: {found.message}" for found in verdict.differences]

    def _judged(self, run: str, agent: str) -> Iterator[str]:
        events = self.world.runtime.ledger.events(run)
        rows = {row.call_id: row for row in self.world.runtime.ledger.calls(run)}
        tools = {event.call_id: event.tool for event in events if isinstance(event, CallProposed)}
        unknown = {event.call_id for event in events if isinstance(event, CallUnknown)}
        for call_id, row in rows.items():
            status = _status(row)
            note = f"{status}, unknown first" if call_id in unknown else status
            self.outcomes[self.campaign.of[run].fault][note] += 1
            yield from self._counted(run, tools[call_id], status)
        reserved = {tools[call_id] for call_id in rows}
        for tool in OUTSIDE:
            if tool not in reserved and (times := self.world.outside.effects[f"{tool}/{run}"]):
                yield f"{tool} was never reserved and took effect {times} times"
        yield from self._ended(agent, events, rows)

    def _counted(self, run: str, tool: str, status: str) -> Iterator[str]:
        """At most once; exactly once where the receipt says that it went well."""
        if tool not in OUTSIDE:
            return
        times = self.world.outside.effects[f"{tool}/{run}"]
        if times > 1 or (status == "ok" and times != 1):
            yield f"{tool} is {status} in the ledger and took effect {times} times outside"

    def _ended(self, agent: str, events: list[Event], rows: dict[str, CallRow]) -> Iterator[str]:
        last = events[-1]
        if not isinstance(last, RunEnded):
            return
        if last.status != "completed":
            yield f"it {last.status}: {last.detail}"
        expected = APPENDED.get(agent)
        if expected and all(_status(row) == "ok" for row in rows.values()) and len(rows) == _calls(agent):
            blobs = self.world.runtime.blobs.of(last.run)
            tree = Tree.from_hashed(parse(blobs.get(last.workspace)))
            found = blobs.get(tree.files["log.txt"].digest).decode()
            if found != expected:
                yield f"log.txt holds {found!r}, not {expected!r}"

    async def left(self) -> None:
        """Once the workers were told to end: nothing of them is left."""
        codes = await self.world.parts.stop()
        self.wrong += [f"{name} ended with {code}" for name, code in codes.items() if code != 0]
        for _ in range(50):
            if not self.world.engine.containers():
                break
            await asyncio.sleep(0.2)
        self.wrong += [f"container {name} is left" for name in self.world.engine.containers()]
        await asyncio.to_thread(self._clean)
        files = [
            path
            for path in self.world.scratch.rglob("*")
            if path.is_file() or path.parent.parent == self.world.scratch
        ]
        self.wrong += [f"{path.relative_to(self.world.scratch)} is left" for path in files]

    def _clean(self) -> None:
        """A minute later somebody cleans up, as docs/how-to/recover-after-a-crash.md says."""
        then = time.time() - 120
        for path in self.world.scratch.rglob("*"):
            os.utime(path, (then, then))
        command = [sys.executable, "-m", "interlock.cli.main", "sandbox", "clean"]
        done = subprocess.run(
            command, env=self.world.environment(), cwd=self.world.settings.root, capture_output=True, check=False
        )
        if done.returncode:
            self.wrong.append(f"interlock sandbox clean: {done.stderr.decode()}")

    def table(self) -> str:
        """Faults, and what became of the calls of the runs that each was to meet."""
        lines = []
        for fault, found in sorted(self.outcomes.items()):
            lines.append(f"{fault:20} {', '.join(f'{count} {name}' for name, count in found.most_common())}")
        return "\n".join(lines)


def _calls(agent: str) -> int:
    return {"writer": 2, "clerk": 3}[agent]


def _status(row: CallRow) -> str:
    """What the executor's own record says of a call."""
    if row.result is None:
        return "in doubt"
    status: str = json.loads(row.result)["status"]
    return status
