"""Carries a schedule out: starts its runs, does its faults, and waits until every run has ended or waits."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from chaos.faults import FAULTS
from chaos.person import Person
from chaos.schedule import Schedule, Step
from chaos.world import World
from temporalio.api.enums.v1 import EventType
from temporalio.service import RPCError

from interlock.errors import Conflict, InterlockError
from interlock.run.files import import_workspace

REQUESTER = "user:alice"
SETTLED_S = 150
"""The last run comes to its end, or to people, so long after the last fault."""


@dataclass
class Campaign:
    """One schedule in one world."""

    world: World
    schedule: Schedule
    say: Callable[[str], None]
    done: dict[int, str] = field(default_factory=dict)
    """Step → what exactly its fault did."""
    of: dict[str, Step] = field(default_factory=dict)
    """Run → the step that it was started in."""

    async def run(self) -> Person:
        """All of it; returns the person, who knows what they said and what they left open.

        Raises:
            AssertionError: a run neither ended nor waits for a person.
        """
        person = Person(self.world)
        at_work = asyncio.create_task(person.work())
        try:
            for step in self.schedule.steps:
                await self._step(step)
            await self._settled(person, at_work)
        finally:
            at_work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await at_work
        return person

    async def _step(self, step: Step) -> None:
        since, fault = time.monotonic(), FAULTS[step.fault]()
        starting = [asyncio.create_task(self._start(agent, step)) for agent in step.agents]
        try:
            self.done[step.number] = await fault.inject(self.world, self.schedule.random(step))
        finally:
            await fault.heal(self.world)
        await asyncio.gather(*starting)
        self.say(f"{step}  [{self.done[step.number]}] {time.monotonic() - since:.1f} s")

    async def _start(self, agent: str, step: Step) -> None:
        """Start a run, however often that takes: asking again for the same run never makes a second one."""
        run = f"{agent}-{self.schedule.seed}-{len(self.of)}"
        self.of[run] = step
        self.world.runs[run] = agent
        end = time.monotonic() + SETTLED_S
        while time.monotonic() < end:
            try:
                await self._started(run, agent)
                return
            except Conflict:
                return
            except InterlockError:
                await asyncio.sleep(0.3)
        raise AssertionError(f"{run} could not be started")

    async def _started(self, run: str, agent: str) -> None:
        client, manifest = self.world.runtime.client, self.world.runtime.manifest
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "order.txt").write_text(run)
            workspace = await asyncio.to_thread(import_workspace, Path(folder), client.blobs.of(run))
        await client.start(manifest, agent, "go", requester=REQUESTER, workspace=workspace, run=run)

    async def _settled(self, person: Person, at_work: asyncio.Task[None]) -> None:
        end = time.monotonic() + SETTLED_S
        while open_runs := await asyncio.to_thread(self._open, person):
            if at_work.done():
                at_work.result()
            if time.monotonic() > end:
                raise AssertionError(await self._stuck(open_runs))
            await asyncio.sleep(0.3)

    def _open(self, person: Person) -> list[str]:
        """Runs that have neither ended nor wait for somebody whom our person leaves it to."""
        ledger = self.world.runtime.ledger
        rows = {row.run: row for row in ledger.runs(limit=len(self.of) + 1)}
        waiting = {row.run for row in ledger.approvals() if row.request_id in person.left}
        return [run for run in self.of if not ((run in rows and rows[run].ended) or run in waiting)]

    async def _stuck(self, runs: list[str]) -> str:
        lines = [f"{len(runs)} runs neither ended nor wait for a person:"]
        for run in runs[:10]:
            try:
                why: object = await self._why(run)
            except (InterlockError, RPCError) as error:
                why = error
            lines.append(f"  {run} (step {self.of[run]}): {why}")
        tails = [f"{name}: {part.tail()}" for name, part in self.world.parts.parts.items()]
        return "\n".join([*lines, *tails])

    async def _why(self, run: str) -> str:
        """What the ledger has of it, and what Temporal has."""
        client, ledger = self.world.runtime.client, self.world.runtime.ledger
        kinds = [event.kind for event in ledger.events(run)]
        found = await client.handle(run).describe()
        history = await client.handle(run).fetch_history()
        types = [EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in history.events]
        failed = [
            event.workflow_task_failed_event_attributes.failure.message
            for event in history.events
            if event.HasField("workflow_task_failed_event_attributes")
        ]
        pending = found.raw_description.pending_workflow_task
        return f"{kinds[-3:]}; {types[-8:]}; {failed[-1:]}; {await client.obstacles(run)}; {pending}".strip()
