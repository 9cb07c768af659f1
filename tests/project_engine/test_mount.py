"""One namespace for the project's folders, also inside Temporal's workflow sandbox."""

import importlib
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from interlock.errors import Conflict, InvalidInput, ProjectError
from interlock.project import load_agents, load_workflows, mount

pytestmark = pytest.mark.usefixtures("unmounted")
Change = Callable[[str, str, str], Path]

WORKFLOW = """\
from dataclasses import dataclass

from temporalio import workflow

IMPORTED = []


@dataclass(frozen=True)
class Mark:
    name: str
    agents: tuple[str, ...]
    description: str = ""


@workflow.defn(name="reading")
class Reading:
    __interlock_workflow__ = Mark("reading", ("reader",))

    @workflow.run
    async def run(self, word: str) -> str:
        IMPORTED.append(word)
        return f"{__name__} {len(IMPORTED)} {word}"
"""


def test_content_is_importable(project: Path) -> None:
    mount(project)
    module = importlib.import_module("interlock_project.agents.reader")
    assert module.__file__ == str(project / "agents" / "reader.py")
    assert module.reader.tools == ("look",)


def test_tools_are_not_importable_in_a_worker(project: Path) -> None:
    mount(project)
    with pytest.raises(ImportError, match="only in a sandbox"):
        importlib.import_module("interlock_project.tools.look")


def test_tools_are_importable_where_asked(project: Path) -> None:
    mount(project, tools=True)
    assert importlib.import_module("interlock_project.tools.look").look("a") == "a"


def test_nothing_else_of_the_root_is_importable(project: Path) -> None:
    (project / "secrets").mkdir()
    (project / "secrets" / "key.py").touch()
    (project / "setup.py").touch()
    mount(project)
    for name in ("secrets.key", "setup", "permissions.rules", "agents.reader.x"):
        with pytest.raises(ImportError):
            importlib.import_module(f"interlock_project.{name}")


def test_mounting_twice_is_mounting_once(project: Path) -> None:
    before = len(sys.meta_path)
    mount(project)
    mount(project / ".." / project.name)
    assert len(sys.meta_path) == before + 1


def test_second_root_must_be_asked_for(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "agents").mkdir(parents=True)
    (other / "agents" / "reader.py").write_text("x = 1\n")
    mount(project)
    importlib.import_module("interlock_project.agents.reader")
    with pytest.raises(Conflict, match="is mounted in this process"):
        mount(other)
    mount(other, replace=True)
    assert importlib.import_module("interlock_project.agents.reader").x == 1


def test_missing_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        mount(tmp_path / "none")


def test_agents_and_workflows_are_loaded(project: Path) -> None:
    assert list(load_agents(project)) == ["reader"]
    assert list(load_workflows(project)) == ["reading"]


def test_loading_names_every_broken_file(project: Path) -> None:
    (project / "agents" / "a.py").write_text("1/0\n")
    (project / "agents" / "b.py").write_text("(\n")
    with pytest.raises(ProjectError) as error:
        load_agents(project)
    assert [problem.split(":")[:2] for problem in error.value.problems] == [
        ["agents/a.py", "1"],
        ["agents/b.py", "1"],
    ]


async def test_workflow_runs_in_temporals_sandbox(project: Path) -> None:
    (project / "workflows" / "reading.py").write_text(WORKFLOW)
    workflow = load_workflows(project)["reading"]
    server = Path(sys.executable).with_name("temporal")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = await WorkflowEnvironment.start_local(
        ip="127.0.0.1", port=port, dev_server_existing_path=str(server), dev_server_log_level="error"
    )
    async with environment:
        worker = Worker(
            environment.client, task_queue="q", workflows=[workflow], workflow_runner=SandboxedWorkflowRunner()
        )
        async with worker:
            results = [
                await environment.client.execute_workflow("reading", word, id=word, task_queue="q")
                for word in ("one", "two")
            ]
    # Each run had its own copy of the module, so the sandbox did import it again.
    assert results == ["interlock_project.workflows.reading 1 one", "interlock_project.workflows.reading 1 two"]


def test_content_passes_mypy_under_its_folders(project: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--explicit-package-bases", "--namespace-packages"]
    checked = subprocess.run(
        [*command, "agents", "tools", "workflows"], cwd=project, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
