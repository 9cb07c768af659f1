"""The ways that `durable.py` compares, each ready to run so many runs of so many steps at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import bare
import durable_peers
import durable_plugin
import psutil
from overhead import Bench, plain_client, write_project
from parts import given_to_workers, in_process_settings, temporal_server, workers, write_agent
from temporalio.client import Client

from interlock.audit import open_blobs
from interlock.run.client import RunClient
from interlock.run.compilation import compiled
from interlock.run.connection import connect
from interlock.settings import Settings
from interlock.signing import load_signer

TOOL = '''from interlock import tool


@tool(action="{action}")
def {name}(text: str) -> str:
    """Give 2 kB."""
    return "x" * 2000
'''
RULES = """rules:
  - {id: notes, effect: allow, owner: bench, agent: agent:*, tool: note}
  - {id: sends, effect: ask, owner: bench, agent: agent:*, tool: send, route: carol}
"""
ROUTES = "routes:\n  - {name: carol, approvers: [user:carol], quorum: 1, expires_after: 1h}\n"
PEOPLE = "users:\n  - {name: alice, tenants: default}\n  - {name: carol, tenants: default}\n"


class Way(Protocol):
    """One way of running the agent."""

    name: str

    async def run(self, steps: int, runs: int) -> None:
        """So many runs of so many steps at once, to their end."""
        ...

    def processes(self) -> list[int]:
        """Process ids whose CPU time is the way's."""
        ...


@dataclass
class Governed:
    """Interlock: policy, grant, ledger, receipts, encrypted payloads."""

    bench: Bench
    pids: list[int]
    name: str = "interlock"

    async def run(self, steps: int, runs: int) -> None:
        await self.bench.governed(steps, runs)

    def processes(self) -> list[int]:
        return self.pids


@dataclass
class Bare:
    """A bare Temporal workflow of as many activities."""

    temporal: Client
    shape: bare.Shape
    """Of ten steps."""
    pids: list[int]
    name: str = "bare temporal"

    async def run(self, steps: int, runs: int) -> None:
        whole = {key: round(count * steps / 10) for key, count in vars(self.shape).items()}
        await _all(self.temporal, bare.Bare.__name__, bare.Shape(**whole), bare.GRAPH, runs)

    def processes(self) -> list[int]:
        return self.pids


@dataclass
class Plugin:
    """The plain plugin."""

    temporal: Client
    pids: list[int]
    name: str = "temporal plugin"
    last: str = ""

    async def run(self, steps: int, runs: int) -> None:
        self.last = await _all(self.temporal, durable_plugin.PlainAgent.__name__, steps, durable_plugin.QUEUE, runs)

    def processes(self) -> list[int]:
        return self.pids


@dataclass
class Peer:
    """A process of its own, told what to run."""

    name: str
    process: subprocess.Popen[bytes]
    servers: list[int] = field(default_factory=list)

    async def run(self, steps: int, runs: int) -> None:
        ask, answer = self.process.stdin, self.process.stdout
        assert ask is not None
        assert answer is not None
        ask.write(f"{steps} {runs}\n".encode())
        ask.flush()
        said = await asyncio.to_thread(answer.readline)
        float(said)  # anything else is what went wrong

    def processes(self) -> list[int]:
        return [self.process.pid, *self.servers]


async def _all(temporal: Client, workflow: str, argument: Any, queue: str, runs: int) -> str:
    names = [f"{queue}-{uuid4()}" for _ in range(runs)]
    await asyncio.gather(
        *(temporal.execute_workflow(workflow, argument, id=name, task_queue=queue) for name in names)
    )
    return names[-1]


def project(root: Path, lengths: list[int], asking: list[int]) -> Path:
    """`calls_N` makes N calls; `asks_N` makes N and then one that needs an approval."""
    write_project(root, lengths)
    for name, action in (("note", "read"), ("send", "publish")):
        (root / "tools" / f"{name}.py").write_text(TOOL.format(name=name, action=action))
    for count in asking:
        options = 'prompt="Note.", tools=["note", "send"], max_steps=9999'
        calls = [("note", f"step {number}") for number in range(count)] + [("send", "this")]
        turns = [{"say": "", "calls": [{"tool": tool, "arguments": {"text": text}}]} for tool, text in calls]
        write_agent(root, f"asks_{count}", options, [*turns, {"say": "done"}])
    for file, text in (("rules", RULES), ("routes", ROUTES), ("people", PEOPLE)):
        (root / "permissions" / f"{file}.yaml").write_text(text)
    return root


@dataclass
class Setup:
    """A Temporal server and a project; workers come and go."""

    settings: Settings
    server: int
    """The Temporal server's process."""

    @contextmanager
    def worker(self, role: str) -> Iterator[int]:
        """One of Interlock's workers; its process id."""
        command = ["-m", "interlock.cli.main", "worker", role]
        with workers(command, given=given_to_workers(self.settings), cwd=self.settings.root) as (process,):
            yield process.pid

    async def bench(self) -> Bench:
        """Starts runs."""
        client, blobs = await connect(self.settings), open_blobs(self.settings)
        runs = RunClient(client, self.settings, blobs, load_signer(self.settings.keys_folder, "api"))
        return Bench(client, await plain_client(self.settings), runs, compiled(self.settings, blobs))


@contextmanager
def set_up(folder: Path, lengths: list[int], asking: list[int]) -> Iterator[Setup]:
    """The server runs and the project is written when the block begins."""
    root = project(folder / "project", lengths, asking)
    before = {child.pid for child in psutil.Process().children()}
    with temporal_server(folder) as address:
        (server,) = (child.pid for child in psutil.Process().children() if child.pid not in before)
        settings = in_process_settings(root, address, name="durable")
        yield Setup(settings, server)


@contextmanager
def peers(folder: Path) -> Iterator[tuple[list[Peer], dict[str, str]]]:
    """Those that need no Temporal; and why the others cannot run here."""
    sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
    from support.postgres import start_postgres

    program, found, missing = str(Path(durable_peers.__file__)), list[Peer](), dict[str, str]()
    with ExitStack() as stack:
        databases = {"langgraph": "", "langgraph_sqlite": str(folder / "langgraph.db")}
        servers: list[int] = []
        try:
            postgres = stack.enter_context(start_postgres())
            servers = [child.pid for child in psutil.Process().children() if "postgres" in child.name()]
            databases |= {name: postgres.new_database("bench") for name in ("langgraph_postgres", "dbos")}
        except (OSError, subprocess.SubprocessError) as error:
            missing |= dict.fromkeys(("langgraph_postgres", "dbos"), f"no PostgreSQL: {error}")
        for name, database in databases.items():
            own = servers if database.startswith("postgresql") else []
            try:
                (process,) = stack.enter_context(workers([program, name, database]))
                found.append(Peer(name.replace("_", " + "), process, own))
            except RuntimeError as error:
                missing[name] = str(error).strip().splitlines()[-1]
        yield found, missing
