"""Every way that the benchmark knows, and how one is set up."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import docker
import hardening
import images
import install
from worker import Worker

from interlock.sandbox import build_image
from interlock.settings import Settings

Kind = Literal["own", "fresh", "reused"]


@dataclass
class Way:
    """A way of running code."""

    name: str
    kind: Kind
    """own: Interlock's. fresh: a container a call. reused: a container that serves many calls."""
    script: str
    mode: str = ""
    peer: str = ""
    """Requirements file and virtual environment; empty: our own."""
    package: str = ""
    server: str = ""
    """Requirements file of what its image holds; empty: nothing."""


INTERLOCK = [
    Way("interlock, cold", "own", "use_interlock.py", "cold"),
    Way("interlock, a container a call", "own", "use_interlock.py", "call"),
    Way("interlock, leased to a run", "own", "use_interlock.py", "run"),
]
DOCKER = [
    Way("docker run", "fresh", "use_docker.py", "fresh"),
    Way("docker exec", "reused", "use_docker.py", "exec"),
]
PEERS = [
    Way("SWE-ReX", "reused", "use_swe_rex.py", peer="swe-rex", package="swe-rex", server="swe-rex"),
    Way(
        "smolagents",
        "reused",
        "use_smolagents.py",
        peer="smolagents",
        package="smolagents",
        server="smolagents-server",
    ),
    Way("autogen", "reused", "use_autogen.py", peer="autogen", package="autogen-ext"),
    Way("inspect_ai", "reused", "use_inspect_ai.py", peer="inspect-ai", package="inspect-ai"),
    Way("llm-sandbox, without its pool", "reused", "use_llm_sandbox.py", "session", "llm-sandbox", "llm-sandbox"),
    Way("llm-sandbox, with its pool", "reused", "use_llm_sandbox.py", "pool", "llm-sandbox", "llm-sandbox"),
]
WAYS = [*INTERLOCK, *DOCKER, *PEERS]


@dataclass
class Bench:
    """What all ways share, and those that are running."""

    root: Path
    folder: Path
    """Where environments and logs are kept from run to run."""
    workers: dict[str, Worker] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Way → why it is not measured, or no longer."""
    versions: dict[str, str] = field(default_factory=dict)
    lacking: dict[str, list[str]] = field(default_factory=dict)
    """Way → what of the hardening its waiting container does not have, and why."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.client = docker.from_env(version="auto", timeout=120)
        self._host = hardening.host_config()
        self.labels = {"interlock.benchmark": str(os.getpid())}
        self._own = build_image(Settings(root=self.root, state=self.folder), progress=say)
        self.plain = images.plain(self.client.api, self._own)
        self._network = self.client.networks.create(
            f"interlock-benchmark-{os.getpid()}",
            driver="bridge",
            labels=self.labels,
            # For peers that are reached over TCP; nothing leads further from there.
            options={"com.docker.network.bridge.enable_ip_masquerade": "false"},
        )

    def start(self, way: Way) -> None:
        """Set the way up and have it ready for one caller; if that fails, it is missing."""
        say(f"setting up {way.name}")
        try:
            python = install.environment(self.folder, way.peer) if way.peer else Path(sys.executable)
            if way.package:
                self.versions[way.name] = f"{way.package} {install.installed(python, way.package)}"
            variables = install.compose(self.folder) if way.peer == "inspect-ai" else {}
            log = self.folder / f"{way.name.replace(' ', '-').replace(',', '')}.log"
            worker = Worker(python, way.script, self._given(way), log, variables)
            self.workers[way.name] = worker
            reply = worker.ask("open", slots=1)
            self.lacking[way.name] = self._lacking(way, reply["containers"]) + reply["because"]
        except install.Missing as error:
            self.lose(way.name, error)

    def _lacking(self, way: Way, containers: list[str]) -> list[str]:
        if way.kind == "own" or not containers:
            return []
        lacking = hardening.lacking(self.client.api.inspect_container(containers[0]), self._host)
        if lacking:
            say(f"{way.name} runs without: {', '.join(lacking)}")
        return lacking

    def _given(self, way: Way) -> dict[str, Any]:
        image = self._own if way.kind == "own" else self._image(way)
        return {
            "mode": way.mode,
            "root": str(self.root),
            "folder": str(self.folder),
            "image": image,
            "labels": self.labels,
            "network": self._network.name,
            "profile": hardening.PROFILE.model_dump(mode="json"),
            "hardening": hardening.for_sdk(self._host),
            "flags": hardening.for_command_line(self._host),
            "compose": hardening.for_compose(self._host, image, self.labels),
        }

    def _image(self, way: Way) -> str:
        if not way.server:
            return self.plain
        packages = install.packages(self.folder, way.server, images.python_of(self.client, self.plain))
        if way.peer == "smolagents":
            return images.with_server(self.client.api, way.peer, packages, images.KERNEL_GATEWAY)
        return images.with_server(self.client.api, way.peer, packages)

    def lose(self, name: str, why: Exception) -> None:
        """This way is measured no further."""
        say(f"{name}: {why}")
        self.missing[name] = str(why)
        worker = self.workers.pop(name, None)
        if worker:
            self._end(worker)

    def end(self) -> None:
        """End every worker and remove every container of theirs."""
        for worker in self.workers.values():
            self._end(worker)
        for label in (f"{name}={value}" for name, value in self.labels.items()):
            for row in self.client.api.containers(all=True, filters={"label": label}):
                self._remove(row["Id"])
        self._network.remove()

    def _end(self, worker: Worker) -> None:
        left = list(worker.containers)
        worker.end()
        for ident in left:
            self._remove(ident)

    def _remove(self, ident: str) -> None:
        try:
            self.client.api.remove_container(ident, force=True, v=True)
        except docker.errors.APIError as error:
            if error.status_code not in (404, 409):
                raise


def say(line: str) -> None:
    """Progress, apart from the figures."""
    print(line, file=sys.stderr, flush=True)
