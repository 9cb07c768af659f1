"""The workspace inside the container: files written before the call, changed files read after it.

Read only after every process of the tool is gone, so that nothing changes between a look and a read.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

WORKSPACE = "/workspace"
ARTIFACTS = "/artifacts"
MAX_DEPTH = 64
MAX_ARTIFACTS = 64
MAX_ARTIFACT_BYTES = 64 * 1024 * 1024
MAX_NOTES = 20


class Known(NamedTuple):
    """A file as it was sent."""

    digest: bytes
    executable: bool


class Changed(NamedTuple):
    """A file to send back."""

    path: str
    executable: bool
    content: bytes


class Overfull(Exception):
    """The workspace holds more than the profile takes."""


class Workspace:
    """The files of one call."""

    def __init__(self, root: str = WORKSPACE) -> None:
        self._root = root
        self._known: dict[str, Known] = {}
        self.gone: list[str] = []
        self.notes: list[str] = []

    def put(self, path: str, content: bytes, executable: bool) -> None:
        """Write one file as the host sent it."""
        target = os.path.join(self._root, path)
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        with open(target, "xb") as file:
            file.write(content)
        os.chmod(target, 0o755 if executable else 0o644)
        self._known[path] = Known(hashlib.sha256(content).digest(), executable)

    def changes(self, *, max_files: int, max_bytes: int) -> Iterator[Changed]:
        """Regular files that are new or differ; afterwards `gone` names those that were deleted.

        Raises:
            Overfull: more files, bytes or levels than the profile takes.
        """
        total, seen = 0, set()
        self.notes = []
        for path, full in self._walk(self._root, "", 0):
            seen.add(path)
            # A file with holes is larger than the space it takes: looked at before it is read.
            total += os.lstat(full).st_size
            if len(seen) > max_files or total > max_bytes:
                raise Overfull(f"the workspace holds more than {max_files} files or {max_bytes} bytes")
            content, executable = _read(full)
            if self._known.get(path) != Known(hashlib.sha256(content).digest(), executable):
                yield Changed(path, executable, content)
        self.gone = sorted(set(self._known) - seen)

    def _walk(self, folder: str, prefix: str, depth: int) -> Iterator[tuple[str, str]]:
        if depth > MAX_DEPTH:
            raise Overfull(f"the workspace is nested deeper than {MAX_DEPTH}: {prefix[:100]!r}…")
        for entry in _entries(folder):
            path = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(entry.path, path + "/", depth + 1)
            elif not entry.is_file(follow_symlinks=False):
                self._note(f"{path!r} was left behind: a link, pipe, socket or device is no file")
            elif not _plain(path):
                self._note(f"{path!r} was left behind: its name is not a plain UTF-8 path")
            else:
                yield path, entry.path

    def _note(self, text: str) -> None:
        if len(self.notes) < MAX_NOTES:
            self.notes.append(text)
        elif len(self.notes) == MAX_NOTES:
            self.notes.append("and more of the kind")


def artifacts(root: str = ARTIFACTS) -> Iterator[Changed]:
    """The named outputs: regular files directly in the folder.

    Raises:
        Overfull: more bytes than there may be.
    """
    total = 0
    for entry in _entries(root)[:MAX_ARTIFACTS]:
        if entry.is_file(follow_symlinks=False) and _plain(entry.name):
            total += entry.stat(follow_symlinks=False).st_size
            if total > MAX_ARTIFACT_BYTES:
                raise Overfull(f"the artifacts hold more than {MAX_ARTIFACT_BYTES} bytes")
            yield Changed(entry.name, False, _read(entry.path)[0])


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except PermissionError:
        os.chmod(folder, 0o700)
        return sorted(os.scandir(folder), key=lambda entry: entry.name)


def _read(path: str) -> tuple[bytes, bool]:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    mode = stat.S_IMODE(os.lstat(path).st_mode)
    if not mode & stat.S_IRUSR:
        os.chmod(path, mode | stat.S_IRUSR)
    with open(os.open(path, flags), "rb") as file:
        return file.read(), bool(mode & stat.S_IXUSR)


def _plain(path: str) -> bool:
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return False
    return len(encoded) <= 1024 and "\\" not in path and not any(ord(c) < 32 or ord(c) == 127 for c in path)
