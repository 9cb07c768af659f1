"""Workspaces and folders: a folder's files into blobs, and a workspace out into a new folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from interlock.digest import canonical, parse
from interlock.errors import IntegrityError, InvalidInput
from interlock.types.blobs import Blobs
from interlock.types.names import Digest
from interlock.types.workspace import FileEntry, Tree, check_path

MAX_FILES: Final = 20_000
MAX_BYTES: Final = 256 * 1024 * 1024
"""All files together; the default profile's workspace."""
TREE_MAX_BYTES: Final = 64 * 1024 * 1024


def import_workspace(folder: Path, blobs: Blobs) -> Digest:
    """Keep a folder's files by digest; returns the digest of their tree. Empty folders are left out.

    Raises:
        InvalidInput: not a folder; a link, device, socket or pipe in it; a path that no workspace takes; or more
            than `MAX_FILES` files or `MAX_BYTES` bytes.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise InvalidInput(f"workspace {str(folder)!r} is not a folder")
    files: dict[str, FileEntry] = {}
    total = 0
    for path in _regular_files(folder):
        name = _name(path, folder)
        data, executable = _read(path)
        total += len(data)
        if len(files) >= MAX_FILES or total > MAX_BYTES:
            raise InvalidInput(
                f"workspace {str(folder)!r} has more than {MAX_FILES} files or {MAX_BYTES // 2**20} MiB",
                next_step="give the run only the files that it needs",
            )
        files[name] = FileEntry(digest=blobs.put(data), size=len(data), executable=executable)
    return blobs.put(canonical(Tree(files=files).as_hashed(), max_bytes=TREE_MAX_BYTES))


def _regular_files(folder: Path) -> Iterator[Path]:
    """Depth first, by name; never through a link.

    Raises:
        InvalidInput: something is neither a folder nor a regular file.
    """
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            yield from _regular_files(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path)
        else:
            kind = "a symbolic link" if entry.is_symlink() else "neither a file nor a folder"
            raise InvalidInput(f"workspace: {entry.path!r} is {kind}", next_step="remove it, or copy what it names")


def _name(path: Path, folder: Path) -> str:
    name = path.relative_to(folder).as_posix()
    try:
        return check_path(name)
    except (ValueError, UnicodeEncodeError) as error:
        raise InvalidInput(f"workspace: {name!r} cannot be a workspace path: {error}") from error


def _read(path: Path) -> tuple[bytes, bool]:
    # What was a file when it was listed may be a link by now.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidInput(f"workspace: {str(path)!r} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise InvalidInput(f"workspace: {str(path)!r} is not a regular file")
        data = file.read(MAX_BYTES + 1)
    return data, bool(status.st_mode & stat.S_IXUSR)


def load_tree(digest: Digest | str, blobs: Blobs) -> Tree:
    """The workspace of a digest; an empty one for an empty digest.

    Raises:
        IntegrityError: absent, altered, or not a tree.
    """
    if not digest:
        return Tree()
    try:
        return Tree.from_hashed(parse(blobs.get(digest)))
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"workspace {digest} is not a tree of files: {error}") from error


def carry(digest: Digest | str, source: Blobs, target: Blobs) -> None:
    """Keep a workspace of one run as content of another, too.

    Raises:
        IntegrityError: a file is absent or altered.
    """
    for entry in load_tree(digest, source).files.values():
        if not target.has(entry.digest):
            target.put(source.get(entry.digest))
    if digest:
        target.put(source.get(digest))


def export_workspace(digest: Digest | str, blobs: Blobs, into: Path) -> list[str]:
    """Write a workspace into a new folder; returns the paths written.

    Raises:
        InvalidInput: `into` exists, or a path is both a file and a folder.
        IntegrityError: a file is absent or altered.
    """
    tree = load_tree(digest, blobs)
    try:
        into.mkdir(parents=True)
    except OSError as error:
        raise InvalidInput(
            f"{str(into)!r} cannot be made: {error.strerror}", next_step="name a folder that does not exist yet"
        ) from error
    for path, entry in sorted(tree.files.items()):
        _write(into / check_path(path), blobs.get(entry.digest), executable=entry.executable)
    return sorted(tree.files)


def _write(path: Path, data: bytes, *, executable: bool) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o755 if executable else 0o644
        )
    except OSError as error:
        raise InvalidInput(f"{str(path)!r} cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
