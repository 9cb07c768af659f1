"""One scratch project on real parts, and the means to kill them: `interlock dev` as a process, Docker, SQLite."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import docker.errors
import orjson
import psutil
import pytest
from support.cli_runtime import Interlock, eventually
from support.runtime import copy_project
from support.scenario import Tool, add_agent, call, playbook

from interlock.audit import SqlBlobs
from interlock.digest import parse
from interlock.encryption import FileKeys
from interlock.events import Event
from interlock.sandbox.claiming import container_name
from interlock.types import Tree

SLEEP_S = 3
SLOW_S = 12
"""Longer than a loaded machine takes for two commands."""
LATE = f"time.sleep({SLEEP_S})\n"
APPEND = "with Path('log.txt').open('a') as log:\n    log.write(text + '\\n')\nreturn 'appended'"
TOOLS = {
    "append_late": Tool(LATE + APPEND, 'action="write", workspace="write"'),
    "append_slow": Tool(f"time.sleep({SLOW_S})\n" + APPEND, 'action="write", workspace="write"'),
    "append": Tool(APPEND, 'action="write", workspace="write"'),
    "commit_late": Tool(
        f"""
        def git(*words):
            identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
            subprocess.run(["git", *identity, *words], check=True, capture_output=True, cwd="repository")
        Path("repository").mkdir(exist_ok=True)
        git("init", "-q", ".")
        git("commit", "-q", "--allow-empty", "-m", text)
        time.sleep({SLEEP_S})
        return subprocess.check_output(["git", "log", "--format=%s"], cwd="repository", text=True)
        """,
        'action="write", workspace="write"',
    ),
    "pay_late": Tool(LATE + "return 'paid ' + text", 'action="pay", effects="external"'),
    "publish": Tool("return 'published ' + text", 'action="publish"'),
}
AGENTS = {
    "appender": playbook(call("append_late", text="once"), call("append", text="twice")),
    "slow_appender": playbook(call("append_slow", text="once"), call("append", text="twice")),
    "committer": playbook(call("commit_late", text="the change")),
    "payer": playbook(call("pay_late", text="ten")),
    "publisher": playbook(call("publish", text="it")),
}
ALLOWED = ["append_late", "append_slow", "append", "commit_late", "pay_late"]
RULES = [
    {"id": "chaos_acts", "effect": "allow", "tool": ALLOWED},
    {"id": "chaos_asks", "effect": "ask", "tool": "publish", "route": "maintainers"},
]
PARTS = {"executor": "executor worker", "graph": "graph worker", "temporal": "temporal"}


def chaos_project(root: Path) -> Path:
    """The reference project with late tools, and agents that call them."""
    copy_project(root)
    for name, tool in TOOLS.items():
        (root / "tools" / f"{name}.py").write_text(tool.source(name))
    for name, turns in AGENTS.items():
        add_agent(root, name, turns, tools=list(TOOLS))
    rules = [{"owner": "tests", "agent": "agent:*", **rule} for rule in RULES]
    (root / "permissions" / "chaos.yaml").write_bytes(b"rules: " + orjson.dumps(rules))
    return root


@dataclass
class Chaos:
    """The project, what runs of it, and what is left of it."""

    cli: Interlock
    engine: docker.APIClient
    seen: set[int] = field(default_factory=set)
    """Every process of ours that was ever seen; none may outlive its supervisor."""

    # -- processes

    def up(self) -> None:
        """`interlock dev` runs; it is started if it does not."""
        if self.cli.dev is None or self.cli.dev.poll() is not None:
            self.cli.start()
        self.tree()

    def tree(self) -> list[psutil.Process]:
        """The supervisor and every process below it."""
        if self.cli.dev is None or self.cli.dev.poll() is not None:
            return []
        top = psutil.Process(self.cli.dev.pid)
        found = [top, *top.children(recursive=True)]
        self.seen |= {process.pid for process in found}
        return found

    def pid(self, part: str) -> int:
        """The process of a part, as `interlock dev` states it."""
        state = orjson.loads((self.cli.state / "dev.json").read_bytes())
        return int(state["parts"][PARTS[part]])

    def kill(self, part: str) -> None:
        """kill -9 of a part; "everything" is the whole tree at one instant."""
        if part != "everything":
            os.kill(self.pid(part), signal.SIGKILL)
            return
        doomed = self.tree()
        for process in doomed:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()  # so that none sees the other die
        for process in doomed:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        assert self.cli.dev is not None
        self.cli.dev.wait(10)

    def left_over(self) -> list[str]:
        """Processes of an ended `interlock dev` that still run."""
        found, old = [], set(self.seen)
        for pid in old - {process.pid for process in self.tree()}:
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                if process.status() != psutil.STATUS_ZOMBIE and str(self.cli.root) in process.cwd():
                    found.append(" ".join(process.cmdline()))
        return found

    # -- runs

    def start(self, *agents: str) -> list[str]:
        """Start runs at the same time."""
        with ThreadPoolExecutor(len(agents)) as threads:
            return list(threads.map(self._start, agents))

    def _start(self, agent: str) -> str:
        told = self.cli.ok("run", "start", agent, "--task", "go", "--as", "user:alice", "--json")
        return str(told.json["run"])

    def containers(self, *runs: str) -> list[str]:
        """The calls of these runs that have a container."""
        with contextlib.closing(self.cli.ledger()) as ledger:
            calls = {f"/{container_name(row.call_id)}": row.call_id for run in runs for row in ledger.calls(run)}
        rows = self.engine.containers(all=True, filters={"label": "interlock.sandbox"})
        return [calls[name] for row in rows for name in row["Names"] or () if name in calls]

    def lose(self, *runs: str) -> None:
        """Their calls' containers are gone at once, with what they did."""
        for call_id in self.containers(*runs):
            with contextlib.suppress(docker.errors.NotFound):
                self.engine.remove_container(container_name(call_id), force=True)

    def in_call(self, *runs: str) -> None:
        """Wait until each run has a call in a container."""
        eventually(lambda: len({c.rpartition(":")[0] for c in self.containers(*runs)}) == len(runs))

    def finished(self, run: str) -> None:
        """The run ends well, its record holds, and nothing of it is left."""
        told = self.cli("run", "wait", run, "--json")
        assert told.json["status"] == "completed", told.out
        self.verified(run)
        assert eventually(lambda: self.containers(run) == [])

    def verified(self, run: str) -> None:
        told = self.cli("replay", run, "--json")
        assert told.code == 0, f"{told.out}\n{told.err}"

    def events(self, run: str, kind: str) -> list[Any]:
        with contextlib.closing(self.cli.ledger()) as ledger:
            events: list[Event] = ledger.events(run)
        return [event for event in events if event.kind == kind]

    def attempts(self, run: str) -> list[int]:
        """How often each call was begun."""
        with contextlib.closing(self.cli.ledger()) as ledger:
            return [row.attempt for row in ledger.calls(run)]

    def blob(self, run: str, digest: str) -> bytes:
        keys = FileKeys(self.cli.state / "data-keys")
        with contextlib.closing(SqlBlobs(f"sqlite:///{self.cli.state}/blobs.db", keys, read_only=True)) as blobs:
            return blobs.of(run).get(digest)

    def file(self, run: str, path: str) -> str:
        """A file of the run's workspace at its end."""
        (ended,) = self.events(run, "run.ended")
        tree = Tree.from_hashed(parse(self.blob(run, ended.workspace)))
        return self.blob(run, tree.files[path].digest).decode()

    def outputs(self, run: str) -> list[str]:
        """What the model read of each call that ran."""
        return [self.blob(run, event.output).decode() for event in self.events(run, "call.finished")]


@pytest.fixture(scope="session")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chaos]:
    cli = Interlock(chaos_project(tmp_path_factory.mktemp("chaos") / "project"))
    cli.ok("sandbox", "build")
    engine = docker.APIClient(**docker.utils.kwargs_from_env(), version="auto")
    found = Chaos(cli, engine)
    yield found
    cli.stop()
    engine.close()


@pytest.fixture
def running(chaos: Chaos) -> Chaos:
    """`interlock dev` runs, both workers alive."""
    chaos.up()
    return chaos
