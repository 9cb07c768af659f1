"""Everything that a schedule of faults happens to: one project on real parts of its own, and its person."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from chaos.errands import errands
from chaos.parts import Part, Parts, Program, Worker, imported_once
from support.cli_runtime import free_port
from support.counter import Outside, outside
from support.engine import OwnEngine
from support.postgres import PostgresServer, start_postgres
from support.runtime import Runtime, running, settings_for

from interlock.errors import InterlockError
from interlock.run.connection import connect
from interlock.run.dev import TEMPORAL_OPTIONS, temporal_binary
from interlock.settings import Settings

Store = Literal["sqlite", "postgres"]
DISK_MIB = 48
"""The disk of ledger and blobs, where these are SQLite files."""
EXECUTORS = ("executor-1", "executor-2")
GRAPHS = ("graph-1", "graph-2")


@dataclass
class World:
    """Its parts, by what can be done to them."""

    folder: Path
    store: Store
    engine: OwnEngine
    outside: Outside
    settings: Settings
    database: PostgresServer | None
    parts: Parts = field(default_factory=Parts)
    runs: dict[str, str] = field(default_factory=dict)
    """Run → its agent."""
    _runtime: Runtime | None = None

    @property
    def runtime(self) -> Runtime:
        """What people reach of it."""
        assert self._runtime is not None, "the world is not up"
        return self._runtime

    @property
    def traps(self) -> Path:
        """Where files say which worker dies next, and how wrong clocks are."""
        return self.folder / "traps"

    @property
    def disk(self) -> Path:
        """Where the SQLite files are."""
        return self.folder / "disk"

    @property
    def scratch(self) -> Path:
        """The workers' folder for temporary files."""
        return self.folder / "t"

    def environment(self) -> dict[str, str]:
        """Of the workers."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("INTERLOCK_")}
        own = {
            "ROOT": self.settings.root,
            "STATE": self.settings.state_folder,
            "NAME": self.settings.name,
            "TEMPORAL_ADDRESS": self.settings.temporal_address,
            "LEDGER_URL": self.settings.effective_ledger_url,
            "BLOBS_URL": self.settings.effective_blobs_url,
            "SANDBOX_REAP_S": self.settings.sandbox_reap_s,
        }
        named = {f"INTERLOCK_{name}": str(value) for name, value in own.items()}
        return {**kept, **named, "TMPDIR": str(self.scratch)}

    def worker(self, name: str) -> Part:
        """A worker that can be made to die at a point."""
        role = name.partition("-")[0]
        return Worker(name, self._log(name), self.environment(), role=role, traps=self.traps)

    def temporal(self) -> Part:
        """The server, with its history in a file."""
        host, _, port = self.settings.temporal_address.rpartition(":")
        command = [temporal_binary(), "server", "start-dev", "--ip", host, "--port", port, "--log-level", "error"]
        command += ["--db-filename", str(self.folder / "temporal.db"), *TEMPORAL_OPTIONS]
        return Program("temporal", self._log("temporal"), dict(os.environ), command=command)

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    async def until_temporal_answers(self) -> None:
        """It listens a while before it is healthy."""
        for _ in range(300):
            try:
                await connect(self.settings)
                return
            except InterlockError:
                await asyncio.sleep(0.1)
        raise AssertionError(self.parts.parts["temporal"].tail())

    async def until_serving(self) -> None:
        """Until every worker has taken up its queue."""
        for _ in range(600):
            if all("serves queue" in part.tail() for part in (*self.parts.of("executor"), *self.parts.of("graph"))):
                return
            await asyncio.sleep(0.1)
        raise AssertionError("\n".join(part.tail() for part in self.parts.parts.values()))


@asynccontextmanager
async def world(engine: OwnEngine, store: Store) -> AsyncIterator[World]:
    """Start one, and end it afterwards; whether something of it is left is for the test to say before."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine.host)
        imported_once()
        found = _laid_out(stack, engine, store)
        try:
            found.parts.add(found.temporal())
            await found.until_temporal_answers()
            async with running(found.settings, workers=False) as found._runtime:
                for name in (*EXECUTORS, *GRAPHS):
                    found.parts.add(found.worker(name))
                await found.until_serving()
                yield found
        finally:
            await found.parts.stop()


def _laid_out(stack: ExitStack, engine: OwnEngine, store: Store) -> World:
    folder = Path(tempfile.mkdtemp(prefix="ilw-", dir="/tmp"))  # short: sockets of the way out are below it
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    for name in ("traps", "disk", "t", "logs"):
        (folder / name).mkdir()
    there = stack.enter_context(outside())
    database = stack.enter_context(start_postgres()) if store == "postgres" else None
    if database is not None:
        urls = {"ledger_url": database.new_database("ledger"), "blobs_url": database.new_database("blobs")}
    else:
        stack.enter_context(small_disk(folder / "disk"))
        urls = {f"{name}_url": f"sqlite:///{folder}/disk/{name}.db" for name in ("ledger", "blobs")}
    root = errands(folder / "project", there.port)
    address = f"127.0.0.1:{free_port()}"
    settings = settings_for(root, address, name="chaos", sandbox_driver="docker", sandbox_reap_s=1, **urls)
    return World(folder, store, engine, there, settings, database)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of its own, so that it can be full and nothing else is."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
