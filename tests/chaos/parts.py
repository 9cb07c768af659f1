"""The processes of the world: started, found dead, started again, ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

AGAIN_S = 0.5
"""Between a death and the next start."""
GRACE_S = 30


@dataclass
class Part:
    """One process, which is started again whenever it is found dead, unless it is to be down."""

    name: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    down: bool = False
    starts: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What it says, over all its lives."""
        return self.folder / f"{self.name}.log"

    @property
    def alive(self) -> bool:
        """Whether it runs now."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                list(self.command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(self.environment)
            )
        self.starts += 1

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None and self.alive:
            self.process.kill()
            self.process.wait()

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""


@dataclass
class Parts:
    """All of them, and whoever starts them again."""

    parts: dict[str, Part] = field(default_factory=dict)
    _watching: asyncio.Task[None] | None = None

    def add(self, part: Part) -> Part:
        """Start one, and keep it running."""
        self.parts[part.name] = part
        part.start()
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        return part

    def of(self, role: str) -> list[Part]:
        """Those of a role, by the beginning of their names."""
        return [part for name, part in self.parts.items() if name.startswith(role)]

    async def _watch(self) -> None:
        while True:
            for part in self.parts.values():
                if not part.down and not part.alive:
                    part.start()
            await asyncio.sleep(AGAIN_S)

    async def stop(self) -> dict[str, int]:
        """End all by SIGTERM, workers before servers; the exit codes of those that were not killed before."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        codes = {}
        for role in ("graph", "executor", "temporal"):
            alive = [part for part in self.of(role) if part.alive]
            for part in alive:
                assert part.process is not None
                os.kill(part.process.pid, signal.SIGTERM)
            for part in alive:
                assert part.process is not None
                try:
                    codes[part.name] = await asyncio.to_thread(part.process.wait, GRACE_S)
                except subprocess.TimeoutExpired:
                    part.kill()
                    codes[part.name] = -signal.SIGKILL
        return codes
