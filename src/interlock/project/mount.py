"""Makes the project's folders importable as `interlock_project.FOLDER.NAME`.

The folders hold no `__init__.py` and are not on the module path: `agents` and `workflows` are the names of
packages on PyPI too, and an install beside them would overwrite files. A finder serves the one namespace, also
when Temporal's workflow sandbox imports a workflow again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import invalidate_caches
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Final

from interlock.errors import Conflict, InvalidInput

NAMESPACE: Final = "interlock_project"
FOLDERS: Final = ("agents", "tools", "permissions", "workflows")
"""The content folders of a project."""
CODE_FOLDERS: Final = ("agents", "workflows")
"""What a graph worker imports. Tools run only in a sandbox; permissions holds no code."""


class ProjectFinder(MetaPathFinder):
    """Finds modules of one project, and nothing else."""

    def __init__(self, root: Path, *, tools: bool) -> None:
        self.root = root
        self.tools = tools

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of `interlock_project` and of what is below it; None for every other name.

        Raises:
            ImportError: the folder is not importable in this process.
        """
        namespace, *rest = fullname.split(".")
        if namespace != NAMESPACE:
            return None
        if not rest:
            return _namespace(fullname, [])
        folder = rest[0]
        if folder == "tools" and not self.tools:
            raise ImportError(
                f"{fullname}: tools run only in a sandbox and are not imported here; name the tool by string",
                name=fullname,
            )
        if folder not in (*CODE_FOLDERS, "tools") or len(rest) > 2:
            return None
        found = str(self.root / folder)
        return _namespace(fullname, [found]) if len(rest) == 1 else PathFinder.find_spec(fullname, [found])


def _namespace(fullname: str, locations: list[str]) -> ModuleSpec:
    spec = ModuleSpec(fullname, None, is_package=True)
    spec.submodule_search_locations = locations
    return spec


def mount(root: Path, *, tools: bool = False, replace: bool = False) -> None:
    """Make `root` the project that `interlock_project` names in this process. Mounting it again does nothing.

    Args:
        root: the project's folder.
        tools: also serve `interlock_project.tools`: for a team's unit tests, never for a worker.
        replace: unmount another project first, forgetting its modules.

    Raises:
        InvalidInput: `root` is no folder.
        Conflict: another project is mounted.
    """
    folder = root.resolve()
    if not folder.is_dir():
        raise InvalidInput(f"project folder {str(folder)!r} does not exist")
    present = mounted()
    if present is not None and present.root == folder:
        present.tools = present.tools or tools
        return
    if present is not None and not replace:
        raise Conflict(
            f"project {str(present.root)!r} is mounted in this process, so {str(folder)!r} cannot be",
            next_step="use one process for each project, or mount(root, replace=True)",
        )
    unmount()
    sys.meta_path.insert(0, ProjectFinder(folder, tools=tools))


def unmount() -> None:
    """Forget the mounted project and every module of it."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, ProjectFinder)]
    for name in [name for name in sys.modules if name == NAMESPACE or name.startswith(f"{NAMESPACE}.")]:
        del sys.modules[name]
    invalidate_caches()


def mounted() -> ProjectFinder | None:
    """The finder of the mounted project, if there is one."""
    return next((finder for finder in sys.meta_path if isinstance(finder, ProjectFinder)), None)
