"""What a benchmark runs on: a Temporal server, worker processes, and a description of the machine."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from interlock.audit import make_data_keys
from interlock.run.dev import TEMPORAL_OPTIONS, temporal_binary
from interlock.settings import Settings
from interlock.signing import create_keys


@contextmanager
def temporal_server(folder: Path) -> Iterator[str]:
    """A dev server with the options of `interlock dev`, its database on disk; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [temporal_binary(), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port)]
    command += ["--db-filename", str(folder / "temporal.db"), "--log-level", "error", *TEMPORAL_OPTIONS]
    with (folder / "temporal.log").open("wb") as log, stopped(subprocess.Popen(command, stdout=log, stderr=log)):
        address = f"127.0.0.1:{port}"
        health = [temporal_binary(), "operator", "cluster", "health", "--address", address]
        for _ in range(100):
            if subprocess.run(health, capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        yield address


PEOPLE = "users:\n  - {name: alice, tenants: default}\n"


def new_project(root: Path, tool: str, text: str, rules: str, profiles: str) -> None:
    """A project of one tool, which alice may use; it has no agents yet."""
    for folder in ("agents", "tools", "permissions", "workflows"):
        (root / folder).mkdir(parents=True)
    (root / "tools" / f"{tool}.py").write_text(text)
    for file, content in (("rules", rules), ("people", PEOPLE), ("profiles", profiles)):
        (root / "permissions" / f"{file}.yaml").write_text(content)


def write_agent(root: Path, name: str, options: str, turns: list[dict[str, Any]]) -> None:
    """An agent, and what its scripted model replies, turn by turn."""
    text = f'from interlock import agent\n\n{name} = agent("{name}", {options})\n'
    (root / "agents" / f"{name}.py").write_text(text)
    (root / "agents" / f"{name}.playbook.yaml").write_text(json.dumps(turns))


def new_settings(root: Path, address: str, *, name: str, **sandbox: str) -> Settings:
    """Settings of a project, its keys made."""
    settings = Settings(root=root, state=root / ".interlock", name=name, temporal_address=address, **sandbox)
    create_keys(settings.keys_folder)
    make_data_keys(settings)
    return settings


def in_process_settings(root: Path, address: str, *, name: str) -> Settings:
    """Settings of a project whose tools run in process: what is measured is not the sandbox."""
    sandbox = {"sandbox_driver": "in_process", "unsafe_in_process": "benchmarks"}
    return new_settings(root, address, name=name, **sandbox)


def given_to_workers(settings: Settings) -> dict[str, str]:
    """The environment of a project's workers."""
    return {
        "INTERLOCK_ROOT": str(settings.root),
        "INTERLOCK_STATE": str(settings.state_folder),
        "INTERLOCK_NAME": settings.name,
        "INTERLOCK_TEMPORAL_ADDRESS": settings.temporal_address,
        "INTERLOCK_SANDBOX_DRIVER": settings.sandbox_driver,
        "INTERLOCK_UNSAFE_IN_PROCESS": settings.unsafe_in_process,
    }


@contextmanager
def workers(
    *commands: list[str], given: dict[str, str] | None = None, cwd: Path | None = None
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Worker processes; each has said that it serves when the block begins."""
    with ExitStack() as stack:
        started = []
        for command in commands:
            process = subprocess.Popen(
                [sys.executable, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(given or {})},
                cwd=cwd,
            )
            stack.enter_context(stopped(process))
            assert process.stdout is not None
            said = b""
            for line in process.stdout:
                said += line
                if b"serves queue" in line:
                    break
            else:
                raise RuntimeError(f"{command} did not come up:\n{said.decode(errors='replace')}")
            started.append(process)
        yield started


@contextmanager
def stopped(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process with the block."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()


def environment() -> dict[str, str]:
    """What the figures depend on."""
    server = subprocess.run([temporal_binary(), "--version"], capture_output=True, text=True, check=True)
    names = ("temporalio", "temporalio-langgraph", "langgraph", "pydantic", "sqlalchemy", "pycasbin")
    return {
        "cpu": cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "python": platform.python_version(),
        "system": platform.platform(),
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "temporal": server.stdout.strip(),
        **{name: version(name) for name in names},
        "server options": " ".join(TEMPORAL_OPTIONS),
    }


def cpu() -> str:
    """The processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
