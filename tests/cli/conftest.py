"""The command line on a copy of the reference project, in this process and as a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main
import typer.testing
from support.events import SampleRun
from support.runtime import copy_project
from typer.testing import CliRunner, Result

from interlock.audit import Ledger, SqlBlobs
from interlock.cli.main import app
from interlock.run.compilation import checked
from interlock.settings import Settings


@dataclass(frozen=True)
class Told:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(scope="session", autouse=True)
def _commands_read_once() -> Iterator[None]:
    """Typer reads every command's signature for each that is run here, which takes longer than most of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.testing, "_get_command", cache(typer.main.get_command))
        yield


@pytest.fixture(scope="session")
def described(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one place of every test's project, where the engine's cache holds what it finds out slowly."""
    folder = tmp_path_factory.mktemp("cli")
    root = copy_project(folder / "project")
    options = {"sandbox_driver": "in_process", "unsafe_in_process": "tests"}
    assert checked(Settings(root=root, state=root / ".interlock", **options)) == []
    (root / ".interlock" / "cache").rename(folder / "cache")
    return folder


@pytest.fixture
def project(described: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the reference project as the working folder; tools run in process."""
    for name in [name for name in os.environ if name.startswith("INTERLOCK_")]:
        monkeypatch.delenv(name)
    shutil.rmtree(described / "project")
    root = copy_project(described / "project")
    shutil.copytree(described / "cache", root / ".interlock" / "cache")
    monkeypatch.chdir(root)
    monkeypatch.setenv("INTERLOCK_SANDBOX_DRIVER", "in_process")
    monkeypatch.setenv("INTERLOCK_UNSAFE_IN_PROCESS", "tests")
    monkeypatch.setenv("INTERLOCK_TEMPORAL_ADDRESS", "127.0.0.1:1")  # nobody listens there
    return root


@pytest.fixture
def interlock(project: Path) -> Callable[..., Told]:
    """Run a command in this process."""

    def run(*arguments: str, stdin: str | None = None) -> Told:
        result: Result = CliRunner().invoke(app, list(arguments), input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Told(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def spawned(project: Path) -> Callable[..., Told]:
    """Run a command as users do: a process whose output is no terminal."""

    def run(*arguments: str, **environment: str) -> Told:
        command = [sys.executable, "-m", "interlock.cli.main", *arguments]
        done = subprocess.run(
            command, cwd=project, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        return Told(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def recorded(project: Path) -> SampleRun:
    """A ledger with one run that has every kind of event. Its signatures are not real."""
    state = project / ".interlock"
    blobs, ledger = SqlBlobs(f"sqlite:///{state}/blobs.db"), Ledger(f"sqlite:///{state}/ledger.db")
    sample = SampleRun(blobs, run="sample-1")
    sample.store(ledger)
    ledger.close()
    blobs.close()
    return sample
