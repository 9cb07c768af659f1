"""Tools that act on a world outside (a file), lose their results, and can be asked afterwards what they did."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.hostile import Attack, Recording, attackers_worker, hostile_project
from support.runtime import running, settings_for

from interlock.run.executor_worker import executor_worker

PAY = '''
import os, sys
from pathlib import Path
from interlock import Done, NotDone, Reconciled, Unknown, tool

WORLD = Path("{world}")

def was_paid(text: str, idempotency_key: str) -> Reconciled:
    if text == "unsure":
        return Unknown("the bank is closed")
    if text == "raises":
        raise ConnectionError("the bank does not answer")
    if text == "exits":
        sys.exit(3)
    if text == "garbage":
        return 7
    if text == "misshapen":
        return Done(7)
    if text == "huge":
        return Done("x" * 10_000_000)
    if text == "denied":
        return NotDone()
    paid = [line.split()[1] for line in WORLD.read_text().splitlines() if line.startswith("paid ")]
    return Done("found it") if idempotency_key in paid else NotDone()

@tool(action="pay", effects="external", reconcile=was_paid)
def pay(text: str, idempotency_key: str) -> str:
    """Pay."""
    with WORLD.open("a") as world:
        world.write(f"paid {idempotency_key} {text}\\n")
    return f"paid {text}"
'''
REPEAT = '''
import os
from pathlib import Path
from interlock import tool

WORLD = Path("{world}")

@tool(action="pay", effects="external", idempotent=True)
def repeat(text: str, idempotency_key: str) -> str:
    """Pay, where the bank knows a repeat."""
    with WORLD.open("a") as world:
        world.write(f"{text} {idempotency_key} {os.environ['INTERLOCK_IDEMPOTENCY_KEY']}\\n")
    os.environ["INTERLOCK_IDEMPOTENCY_KEY"] = idempotency_key = "mine"
    return "paid"
'''
RULES = """
  - {id: pays, effect: allow, owner: tests, agent: agent:tester, tool: [pay, repeat]}
"""


@dataclass
class World:
    """What has happened outside."""

    path: Path

    def of(self, text: str) -> list[list[str]]:
        """The words of each line that holds `text`."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [line.split() for line in lines if text in line.split()]


def effects_project(root: Path, world: Path) -> Path:
    """The hostile project, with tools that act on `world`."""
    hostile_project(root)
    for name, source in (("pay", PAY), ("repeat", REPEAT)):
        (root / "tools" / f"{name}.py").write_text(source.replace("{world}", str(world)))
    tester = root / "agents" / "tester.py"
    tester.write_text(tester.read_text().replace("tools=[", "tools=['pay', 'repeat', "))
    with (root / "permissions" / "rules.yaml").open("a") as file:
        file.write(RULES.lstrip("\n"))
    return root


@asynccontextmanager
async def acting(
    temporal_address: str, folder: Path, name: str
) -> AsyncIterator[tuple[Callable[[], Attack], World]]:
    """A real executor whose tools' results can be lost; gives a factory of runs, and the world that they act on."""
    world = World(folder / "world")
    root = effects_project(folder / "project", world.path)
    settings = settings_for(root, temporal_address, name=name)
    async with running(settings, workers=False) as runtime:
        driver = Recording(runtime.executor.driver)
        runtime.executor.driver = driver
        async with attackers_worker(runtime), executor_worker(runtime.temporal, settings, runtime.executor):
            yield lambda: Attack(runtime, driver), world


class Together:
    """A driver whose first two kills of a call wait for each other, so that two executors are equally far."""

    def __init__(self, inner: Any, barrier: asyncio.Barrier) -> None:
        self.inner, self._barrier, self._met = inner, barrier, False

    async def kill(self, call_id: str) -> None:
        if not self._met:
            self._met = True
            await self._barrier.wait()
        await self.inner.kill(call_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)
