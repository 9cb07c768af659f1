"""`interlock init NAME`: a new project with the content of the reference project."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

import interlock
from interlock.errors import InterlockError, InvalidInput
from interlock.types.names import NAME_PATTERN

_PACKAGE: Final = Path(__file__).resolve().parent
_CONTENT: Final = {
    "agents": "agents",
    "tools": "tools",
    "permissions": "permissions",
    "workflows": "workflows",
    "tests": "tests/project",
}
"""Folder of the new project → folder of a source checkout."""
_IGNORED: Final = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
_COMPOSE: Final = "docker-compose.yml"


def scaffold(name: str, into: Path) -> list[Path]:
    """Write a project called `name` into the folder `into`, which is made where it is missing.

    Returns:
        What was written, relative to `into`, in order.

    Raises:
        InvalidInput: `name` cannot be a project's name, or `into` has something in it.
    """
    _check_name(name)
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise InvalidInput(
            f"{str(into)!r} exists and is not an empty folder; nothing was written",
            next_step="choose another name, or empty the folder",
        )
    sources = _sources()
    into.mkdir(parents=True, exist_ok=True)
    for folder, source in sources.items():
        shutil.copytree(source, into / folder, ignore=_IGNORED)
    compose = _compose()
    if compose is not None:
        shutil.copyfile(compose, into / _COMPOSE)
    (into / "pyproject.toml").write_text(_PYPROJECT.format(name=name, version=interlock.__version__))
    (into / "README.md").write_text(_README.format(name=name))
    (into / ".gitignore").write_text(_GITIGNORE)
    return sorted(file.relative_to(into) for file in into.rglob("*") if file.is_file())


def _check_name(name: str) -> None:
    if re.fullmatch(NAME_PATTERN.strip("^$"), name):
        return
    wrong = sorted(set(re.sub("[a-z0-9_]", "", name)))
    found = f"; it has {', '.join(map(repr, wrong))}" if wrong else ""
    raise InvalidInput(
        f"name {name!r}: a project's name is 1 to 64 of a to z, 0 to 9 and _, starting with a letter{found}"
    )


def _sources() -> dict[str, Path]:
    """Where the reference project is: in the installed package, or in the source checkout around it."""
    packaged = {folder: _PACKAGE / "template" / folder for folder in _CONTENT}
    checkout = {folder: _PACKAGE.parents[2] / source for folder, source in _CONTENT.items()}
    for sources in (packaged, checkout):
        if all(source.is_dir() for source in sources.values()):
            return sources
    raise InterlockError(
        "the reference project is missing from this installation", next_step="reinstall interlock-runtime"
    )


def _compose() -> Path | None:
    for folder in (_PACKAGE / "template", _PACKAGE.parents[2]):
        if (folder / _COMPOSE).is_file():
            return folder / _COMPOSE
    return None


_PYPROJECT: Final = """\
[project]
name = "{name}"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["interlock-runtime>={version}"]

[dependency-groups]
dev = ["pytest>=8.4"]

[tool.interlock]
name = "{name}"

[tool.pytest.ini_options]
testpaths = ["tests"]
addopts = "-ra --import-mode=importlib"
"""

_README: Final = """\
# {name}

An Interlock project: agents that do real work, and what they may do.

| folder | what is in it |
|---|---|
| `agents/` | who acts: one agent a file, its prompt, and the playbook of the scripted model |
| `tools/` | what can be done: one `@tool` function a file; it runs only in a sandbox |
| `permissions/` | who may do what to which resource, who approves, under which limits |
| `workflows/` | in what order |
| `tests/` | tests of all of it; they need neither Docker nor a key |

The folders are no Python packages and have no `__init__.py`. Files name each other by string, and
`interlock check` finds each name that leads nowhere.

    interlock check                 # every mistake that needs no run to be found
    pytest                          # the project's own tests
    interlock doctor                # what this machine lacks to run it
    interlock dev                   # everything that runs it, in one command
"""

_GITIGNORE: Final = """\
.interlock/
.venv/
__pycache__/
.pytest_cache/
"""
