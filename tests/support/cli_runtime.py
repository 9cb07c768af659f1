"""A running `interlock dev`, and commands beside it: processes of their own, on real parts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from support import forked

from interlock.audit import Ledger

T = TypeVar("T")
READY_S = 120


@dataclass
class Told:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Interlock:
    """One project with state and a Temporal server of its own."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    dev: subprocess.Popen[bytes] | None = None
    forks: bool = False
    """Whether `interlock dev` and its parts are forked too, where no test is about their processes."""

    def __post_init__(self) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("INTERLOCK_")}
        self.environment = {
            **kept,
            "INTERLOCK_TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}",
            # No console, where a test does not ask for one.
            "INTERLOCK_LISTEN": "",
        }

    @property
    def state(self) -> Path:
        return self.root / ".interlock"

    @property
    def log(self) -> Path:
        return self.root / "dev.log"

    def __call__(self, *arguments: str, **settings: str) -> Told:
        done = subprocess.run(
            [forked.command(), *arguments],
            cwd=self.root,
            env={**self.environment, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Told(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str, **settings: str) -> Told:
        told = self(*arguments, **settings)
        assert told.code == 0, f"{arguments} exited with {told.code}:\n{told.out}\n{told.err}"
        return told

    def start(self) -> None:
        """Start `interlock dev` and wait until it is ready."""
        with self.log.open("wb") as log:
            own = [sys.executable, "-m", "interlock.cli.main"]
            command = [*([forked.command()] if self.forks else own), "dev"]
            self.dev = subprocess.Popen(
                command, cwd=self.root, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
        eventually(lambda: "ready:" in self.log.read_text() or (self.dev and self.dev.poll()), READY_S)
        assert self.dev.poll() is None, self.log.read_text()

    def stop(self) -> None:
        """Ctrl-C."""
        if self.dev is not None and self.dev.poll() is None:
            self.dev.send_signal(signal.SIGINT)
            self.dev.wait(60)

    def waiting(self, run: str) -> str:
        """The id of the run's open request, once there is one."""

        def look() -> str:
            with contextlib.closing(self.ledger()) as ledger:
                return next((row.request_id for row in ledger.approvals(run=run)), "")

        return eventually(look)

    def ledger(self) -> Ledger:
        return Ledger(f"sqlite:///{self.state}/ledger.db", read_only=True)

    def copies(self, folder: Path) -> dict[str, str]:
        """Consistent copies of ledger and blobs, as settings."""
        folder.mkdir()
        for name in ("ledger", "blobs"):
            with (
                contextlib.closing(sqlite3.connect(self.state / f"{name}.db")) as old,
                contextlib.closing(sqlite3.connect(folder / f"{name}.db")) as new,
            ):
                old.backup(new)
        return {f"INTERLOCK_{name.upper()}_URL": f"sqlite:///{folder}/{name}.db" for name in ("ledger", "blobs")}


def attack(database: Path, statement: str, *parameters: Any) -> int:
    """Change a database as its owner could, triggers out of the way; returns how many rows were changed."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f'DROP TRIGGER "{name}"')
        return connection.execute(statement, parameters).rowcount


def eventually(probe: Callable[[], T], timeout_s: float = 60) -> T:
    """Wait for a probe to give something true."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if found := probe():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
