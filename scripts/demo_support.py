"""What the demo is told with: Interlock's own commands, and the alteration of a copied record."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console

READY_S: Final = 60
"""How long `interlock dev` may take to be ready, in seconds."""
STOP_S: Final = 20
"""How long it may take to stop before it is killed, in seconds."""


class NotAsClaimed(Exception):
    """Something that the demo claims did not hold."""


def claim(holds: bool, what: str) -> None:
    """Stop the demo unless `what` holds."""
    if not holds:
        raise NotAsClaimed(f"this does not hold: {what}")


class Interlock:
    """Interlock with state of its own, so that the demo meets nothing else that runs here."""

    def __init__(self, root: Path, folder: Path, console: Console, *, port: int) -> None:
        self.command = str(root / ".venv" / "bin" / "interlock")
        self.root = root
        self.console = console
        self.state = folder / "state"
        self.log = folder / "dev.log"
        own = {"INTERLOCK_STATE": str(self.state), "INTERLOCK_TEMPORAL_ADDRESS": f"127.0.0.1:{port}"}
        inherited = {name: value for name, value in os.environ.items() if name not in _STORES}
        self.environment = {**inherited, **own, "COLUMNS": str(console.width)}
        self.dev: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start `interlock dev` and wait until it is ready.

        Raises:
            NotAsClaimed: it ended, or is not ready in time; the end of its log is in the message.
        """
        self.console.print("$ interlock dev", style="bold cyan")
        with self.log.open("wb") as log:
            self.dev = subprocess.Popen(
                [self.command, "dev"],
                cwd=self.root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_S
        with self.console.status("starting"):
            while time.monotonic() < deadline and self.dev.poll() is None:
                if "ready" in self.log.read_text(errors="replace"):
                    return
                time.sleep(0.2)
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        raise NotAsClaimed(f"interlock dev was not ready in {READY_S} s. The end of {self.log}:\n{tail}")

    def run(self, *arguments: str, **settings: str) -> tuple[int, str]:
        """Run one command. Returns its exit code and what it printed."""
        result = subprocess.run(
            [self.command, *arguments],
            cwd=self.root,
            env={**self.environment, **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return result.returncode, result.stdout

    def show(self, *arguments: str) -> None:
        """Run one command that must succeed, its output straight to the terminal."""
        self._announce(arguments)
        code = subprocess.run(
            [self.command, *arguments], cwd=self.root, env=self.environment, stdin=subprocess.DEVNULL, check=False
        ).returncode
        claim(code == 0, f"`interlock {' '.join(arguments[:3])}` succeeds (it exited with {code})")

    def output(self, *arguments: str) -> str:
        """What a command that must succeed prints."""
        self._announce(arguments)
        with self.console.status("waiting"):
            code, said = self.run(*arguments)
        claim(code == 0, f"`interlock {' '.join(arguments[:3])}` succeeds (it exited with {code}):\n{said}")
        return said

    def read(self, *arguments: str, quiet: bool = False) -> dict[str, Any]:
        """The JSON object that a command that must succeed prints."""
        if not quiet:
            self._announce(arguments)
        code, said = self.run(*arguments, "--json")
        claim(code == 0, f"`interlock {' '.join(arguments[:3])}` succeeds (it exited with {code}):\n{said}")
        value = json.loads(said)
        claim(isinstance(value, dict), f"`interlock {' '.join(arguments[:3])} --json` prints an object")
        return dict(value)

    def _announce(self, arguments: tuple[str, ...]) -> None:
        shown = [argument if len(argument) < 60 else f"{argument[:40]}…" for argument in arguments]
        command = f"$ interlock {' '.join(shown)}"
        self.console.print(command, style="bold cyan", markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.dev is None:
            return
        self.dev.send_signal(signal.SIGINT)
        try:
            self.dev.wait(STOP_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            # Its parts end with it: each asks the kernel for that.
            self.dev.kill()
            self.dev.wait()


_STORES: Final = ("INTERLOCK_LEDGER_URL", "INTERLOCK_BLOBS_URL", "INTERLOCK_KEYS", "INTERLOCK_ROOT")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """A folder that is empty and this demo's own.

    Raises:
        NotAsClaimed: another demo runs in it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NotAsClaimed("another demo runs in this folder; wait for its end") from error
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def copy_database(source: Path, folder: Path) -> Path:
    """A consistent copy of a SQLite database that may be in use."""
    folder.mkdir(exist_ok=True)
    target = folder / source.name
    with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(target)) as new:
        old.backup(new)
    return target


def alter_result(blobs: Path, digest: str) -> None:
    """Flip one bit of a run's blob, as somebody with the database's rights could: its triggers are no defence then.

    Raises:
        NotAsClaimed: there is no such blob.
    """
    with contextlib.closing(sqlite3.connect(blobs, isolation_level=None)) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        row = database.execute("SELECT data FROM run_blobs WHERE digest = ?", (digest,)).fetchone()
        claim(row is not None, f"the record holds blob {digest}")
        data = bytearray(row[0])
        data[len(data) // 2] ^= 1
        database.execute("UPDATE run_blobs SET data = ? WHERE digest = ?", (bytes(data), digest))
