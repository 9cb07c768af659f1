"""Makes the project importable, and gives a workspace to run tools on."""

from pathlib import Path

import pytest

from interlock.project import mount

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "agents").is_dir())
collect_ignore = ["fix_issue"]  # a sample for the agent: its test belongs to another source tree

# A unit test calls a tool as the plain function that it is. No worker does: there it runs only in a sandbox.
mount(ROOT, tools=True)


@pytest.fixture(autouse=True, scope="module")
def _mounted() -> None:
    """Mounted again, should another test of the same process have mounted a project of its own meanwhile."""
    mount(ROOT, tools=True, replace=True)


@pytest.fixture
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace, which is the working folder of a tool call."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("INTERLOCK_ARTIFACTS", str(tmp_path / "artifacts"))
    return folder
