"""Imports a project's agents and workflows. This runs team code: only in a process that holds no secret."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Protocol, TypeVar

from interlock.definitions import AgentDefinition
from interlock.errors import ProjectError
from interlock.project.mount import NAMESPACE, mount
from interlock.project.problem import Problem
from interlock.project.snapshot import take_snapshot

WORKFLOW_ATTRIBUTE: Final = "__interlock_workflow__"
T = TypeVar("T")
Finder = Callable[[ModuleType, str], T | Problem]
Loaded = tuple[dict[str, T], list[Problem]]


class WorkflowMark(Protocol):
    """What the workflow decorator leaves on a class, as `__interlock_workflow__`."""

    @property
    def name(self) -> str: ...
    @property
    def agents(self) -> tuple[str, ...]: ...
    @property
    def description(self) -> str: ...


def load_agents(root: Path) -> dict[str, AgentDefinition]:
    """Import each agents/NAME.py; NAME → its one definition.

    Raises:
        ProjectError: a file cannot be imported, or does not define exactly one agent of its own name.
    """
    return _all_or_error(root, "agents", find_agent)


def load_workflows(root: Path) -> dict[str, type]:
    """Import each workflows/NAME.py; NAME → its one workflow class.

    Raises:
        ProjectError: a file cannot be imported, or does not define exactly one workflow of its own name.
    """
    return _all_or_error(root, "workflows", find_workflow)


def _all_or_error(root: Path, folder: str, find: Finder[T]) -> dict[str, T]:
    found, problems = import_folder(root, folder, find)
    if problems:
        raise ProjectError(
            f"{folder}/ cannot be loaded", problems=tuple(map(str, problems)), next_step="run interlock check"
        )
    return found


def import_folder(
    root: Path, folder: str, find: Finder[T], announce: Callable[[str], None] = lambda path: None
) -> Loaded[T]:
    """Import every module of a folder, and find in each what it defines. Goes on after a problem."""
    mount(root)
    found: dict[str, T] = {}
    problems: list[Problem] = []
    for name, path in take_snapshot(root).modules(folder).items():
        announce(path)
        module = _import(f"{NAMESPACE}.{folder}.{name}", path, root.resolve() / path)
        outcome = find(module, path) if isinstance(module, ModuleType) else module
        if isinstance(outcome, Problem):
            problems.append(outcome)
        else:
            found[name] = outcome
    return found, problems


def _import(name: str, path: str, file: Path) -> ModuleType | Problem:
    try:
        return importlib.import_module(name)
    # Team code may raise anything, and one bad file must not hide the next.
    except (Exception, SystemExit) as error:
        frames = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)
        ]
        line = (frames[-1] if frames else getattr(error, "lineno", None)) or 1
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        return Problem(file=path, line=line, message=f"cannot be imported: {type(error).__name__}: {said}")


def find_agent(module: ModuleType, path: str) -> AgentDefinition | Problem:
    """The one agent that a module defines."""
    found = {id(value): value for value in vars(module).values() if isinstance(value, AgentDefinition)}
    name = module.__name__.rpartition(".")[2]
    if len(found) != 1:
        message = f"an agent file defines exactly one agent, this one defines {len(found)}"
        return Problem(file=path, line=1, message=message)
    definition = next(iter(found.values()))
    if definition.name != name:
        message = f"the agent is named {definition.name!r} and its file {name!r}; give them one name"
        return Problem(file=path, line=1, message=message)
    return definition


def find_workflow(module: ModuleType, path: str) -> type | Problem:
    """The one workflow class that a module defines."""
    found = list(_marked(module))
    name = module.__name__.rpartition(".")[2]
    if len(found) != 1:
        message = f"a workflow file defines exactly one workflow class, this one defines {len(found)}"
        return Problem(file=path, line=1, message=message)
    own = mark_of(found[0]).name
    if own != name:
        message = f"the workflow is named {own!r} and its file {name!r}; give them one name"
        return Problem(file=path, line=1, message=message)
    return found[0]


def _marked(module: ModuleType) -> Iterator[type]:
    for value in vars(module).values():
        if isinstance(value, type) and WORKFLOW_ATTRIBUTE in vars(value) and value.__module__ == module.__name__:
            yield value


def mark_of(workflow: type) -> Any:
    """What the workflow decorator left on a class (a `WorkflowMark`)."""
    return vars(workflow)[WORKFLOW_ATTRIBUTE]
