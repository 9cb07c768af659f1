"""The processes of the world: started, found dead, started again, ended."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver
from pathlib import Path

import pytest
from support import chaos_worker

AGAIN_S = 0.5
"""Between a death and the next start."""
GRACE_S = 30
_FORKING = multiprocessing.get_context("forkserver")


def imported_once() -> None:
    """A worker takes seconds of a core to import what it needs: one process does so, and each is forked from it."""
    _FORKING.set_forkserver_preload([chaos_worker.__name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # Python 3.11 forgets to tell it
        forkserver.ensure_running()


@dataclass
class Part(ABC):
    """One process, which is started again whenever it is found dead, unless it is to be down."""

    name: str
    log: Path
    """What it says, over all its lives."""
    environment: Mapping[str, str]
    down: bool = False

    @abstractmethod
    def start(self) -> None:
        """Start it."""

    @abstractmethod
    def alive(self) -> bool:
        """Whether it runs now."""

    @abstractmethod
    def kill(self) -> None:
        """kill -9, and wait until it is dead."""

    @abstractmethod
    def terminate(self) -> None:
        """SIGTERM."""

    @abstractmethod
    def ended(self, within_s: float) -> int | None:
        """Its exit code, once it has ended; None if it does not."""

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""


@dataclass
class Program(Part):
    """A program of its own."""

    command: Sequence[str] = ()
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                list(self.command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(self.environment)
            )

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def terminate(self) -> None:
        if self._process is not None:
            self._process.terminate()

    def ended(self, within_s: float) -> int | None:
        assert self._process is not None
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return None


@dataclass
class Worker(Part):
    """A worker that can be made to die at a point: see `support.chaos_worker`."""

    role: str = ""
    traps: Path = Path()
    _process: multiprocessing.process.BaseProcess | None = None

    def start(self) -> None:
        arguments = (self.role, self.name, self.traps, dict(self.environment), self.log)
        self._process = _FORKING.Process(target=chaos_worker.work, args=arguments, daemon=True)
        self._process.start()

    def alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()

    def terminate(self) -> None:
        if self._process is not None:
            self._process.terminate()

    def ended(self, within_s: float) -> int | None:
        assert self._process is not None
        self._process.join(within_s)
        return self._process.exitcode


@dataclass
class Parts:
    """All of them, and whoever starts them again."""

    parts: dict[str, Part] = field(default_factory=dict)
    _watching: asyncio.Task[None] | None = None

    def add(self, part: Part) -> None:
        """Start one, and keep it running."""
        self.parts[part.name] = part
        part.start()
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())

    def of(self, role: str) -> list[Part]:
        """Those of a role, by the beginning of their names."""
        return [part for name, part in self.parts.items() if name.startswith(role)]

    async def _watch(self) -> None:
        while True:
            for part in self.parts.values():
                if not part.down and not part.alive():
                    part.start()
            await asyncio.sleep(AGAIN_S)

    async def stop(self) -> dict[str, int | None]:
        """End all by SIGTERM, workers before servers: the exit code of each, None of one that had to be killed."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        codes: dict[str, int | None] = {}
        for role in ("graph", "executor", "temporal"):
            alive = [part for part in self.of(role) if part.alive()]
            for part in alive:
                part.terminate()
            for part in alive:
                codes[part.name] = await asyncio.to_thread(part.ended, GRACE_S)
                if codes[part.name] is None:
                    part.kill()
        return codes
