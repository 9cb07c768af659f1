"""A small valid project, and a way to break it in one place."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interlock.project import unmount

FILES = {
    "agents/reader.py": """\
from interlock import agent

reader = agent(
    "reader",
    prompt="reader.md",
    tools=["look"],
)
""",
    "agents/reader.md": "You read.\n",
    "agents/reader.playbook.yaml": """\
- say: I look.
  calls:
    - tool: look
      arguments: {path: a}
- say: Done.
""",
    "tools/look.py": '''\
from interlock import tool


@tool(action="read", resource="workspace:{path}", sentence="Look at {path}")
def look(path: str) -> str:
    """Look at a file."""
    return path
''',
    "workflows/reading.py": """\
from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    name: str
    agents: tuple[str, ...]
    description: str = ""


class Reading:
    __interlock_workflow__ = Mark("reading", ("reader",))
""",
    "permissions/rules.yaml": "rules: []\n",
}


def write(root: Path, files: dict[str, str]) -> Path:
    """Write files below a folder."""
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project without a mistake."""
    return write(tmp_path / "project", FILES)


@pytest.fixture
def change(project: Path) -> Callable[[str, str, str], Path]:
    """Replace one passage of one file."""

    def replace(path: str, old: str, new: str) -> Path:
        text = (project / path).read_text()
        assert text.count(old) == 1
        return write(project, {path: text.replace(old, new)})

    return replace


@pytest.fixture
def unmounted() -> Iterator[None]:
    """No project mounted in this process; afterwards the one that was is there again."""
    modules = {name: module for name, module in sys.modules.items() if name.startswith("interlock_project")}
    finders = list(sys.meta_path)
    unmount()
    yield
    unmount()
    sys.meta_path[:] = finders
    sys.modules.update(modules)
