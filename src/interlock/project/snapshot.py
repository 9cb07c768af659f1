"""The project's content, read once: what is checked, described and pinned is one and the same set of bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final

from interlock.digest import digest_bytes, digest_of
from interlock.project.mount import FOLDERS
from interlock.project.problem import Problem
from interlock.types.names import NAME_PATTERN, Digest

LARGEST_FILE: Final = 1024 * 1024
"""Bytes. Content is code and prose; a larger file was put there by mistake."""
SUFFIXES: Final = (".py", ".md", ".yaml", ".yml", ".conf", ".csv", ".toml", ".json")


@dataclass(frozen=True)
class Snapshot:
    """The files of the content folders, as they were at one moment."""

    root: Path
    files: Mapping[str, bytes]
    """Path in the project, with `/` → bytes."""
    problems: tuple[Problem, ...]
    """What could not be read or may not be there."""

    @cached_property
    def digest(self) -> Digest:
        """Digest over all paths and bytes."""
        return self.digest_of_folders(FOLDERS)

    def digest_of_folders(self, folders: tuple[str, ...]) -> Digest:
        """Digest over the paths and bytes in some of the folders."""
        return digest_of(
            [[p, digest_bytes(self.files[p])] for p in sorted(self.files) if p.split("/")[0] in folders]
        )

    def declared(self) -> dict[str, str]:
        """Name → path of each `tools/NAME.yaml`, in order."""
        return {
            PurePosixPath(path).stem: path
            for path in sorted(self.files)
            if re.fullmatch(r"tools/[a-z][a-z0-9_]*\.yaml", path)
        }

    def modules(self, folder: str) -> dict[str, str]:
        """Name → path of each `folder/NAME.py`, in order."""
        return {
            PurePosixPath(path).stem: path
            for path in sorted(self.files)
            if re.fullmatch(rf"{folder}/[a-z][a-z0-9_]*\.py", path)
        }


def take_snapshot(root: Path) -> Snapshot:
    """Read the content folders of the project at `root`. Problems are collected, never raised."""
    base = root.resolve()
    files: dict[str, bytes] = {}
    problems: list[Problem] = []
    for folder in FOLDERS:
        if not (base / folder).is_dir():
            problems.append(Problem(file=folder, line=1, message="this folder is missing from the project"))
            continue
        for path, outcome in _read_folder(base, base / folder):
            if isinstance(outcome, bytes):
                files[path] = outcome
            else:
                problems.append(Problem(file=path, line=1, message=outcome))
    return Snapshot(base, files, (*problems, *_names(files)))


def _read_folder(base: Path, folder: Path) -> Iterator[tuple[str, bytes | str]]:
    for file in sorted(folder.rglob("*")):
        inside = file.relative_to(base)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in inside.parts)
        if hidden or file.is_dir() or file.suffix not in SUFFIXES:
            continue
        yield inside.as_posix(), _read(base, file)


def _read(base: Path, file: Path) -> bytes | str:
    """The file's bytes, or why it cannot be content."""
    try:
        if not file.resolve(strict=True).is_relative_to(base):
            return "this link leads out of the project; content must be inside it"
        if not file.is_file():
            return "this is not a regular file"
        if file.stat().st_size > LARGEST_FILE:
            return f"larger than {LARGEST_FILE} bytes, which is no content"
        return file.read_bytes()
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _names(files: Mapping[str, bytes]) -> Iterator[Problem]:
    """Problems with the names of content modules."""
    seen: dict[str, str] = {}
    for path in sorted(files):
        folder, _, rest = path.partition("/")
        if folder == "tools" and rest.endswith(".yml"):
            yield Problem(file=path, line=1, message=f"a declared tool is a .yaml file; name it {rest[:-4]}.yaml")
        if not path.endswith(".py"):
            continue
        if rest.split("/")[-1] == "__init__.py":
            message = "a content folder has no __init__.py: its files are not a package; delete this file"
            yield Problem(file=path, line=1, message=message)
        elif "/" in rest:
            yield Problem(file=path, line=1, message=f"content is one file deep; move this to {folder}/")
        elif not re.match(NAME_PATTERN, rest.removesuffix(".py")):
            message = f"{rest!r} is no name: lower-case letters, digits and _ only, starting with a letter"
            yield Problem(file=path, line=1, message=message)
        if other := seen.get(path.lower()):
            message = f"differs from {other} only in upper and lower case; rename one of them"
            yield Problem(file=path, line=1, message=message)
        seen.setdefault(path.lower(), path)
