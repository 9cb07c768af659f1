"""The host's folder that a container sees at /run/interlock: empty, until a call's way out binds a socket."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from interlock.errors import SandboxUnavailable
from interlock.sandbox.private_folder import is_private, private_folder

_YOUNG_S: Final = 60
"""A folder may be older than its container by the time that starting one takes."""


def parent() -> Path:
    """Where the folders are."""
    return private_folder("out")


def make_folder() -> Path:
    """A new folder. Other users of the host cannot reach it; the container's user can, through its mount.

    Raises:
        PermissionError: the parent is not ours alone.
    """
    above = parent()
    above.mkdir(mode=0o700, exist_ok=True)
    if not is_private(above):
        raise PermissionError(f"{above} belongs to somebody else or may be entered by others; remove it")
    folder = Path(tempfile.mkdtemp(dir=above))
    folder.chmod(0o711)
    return folder


@contextmanager
def folder_for(way_out: bool) -> Iterator[Path | None]:
    """A new folder if there is to be a way out; removed again if the container that was to see it does not start.

    Raises:
        SandboxUnavailable: it cannot be made.
    """
    if not way_out:
        yield None
        return
    try:
        folder = make_folder()
    except OSError as error:
        raise SandboxUnavailable(f"no folder for the way out: {error}") from error
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def remove_folder(path: str) -> None:
    """Remove the folder that a label names, if it is one of ours."""
    if path and Path(path).parent == parent():
        shutil.rmtree(path, ignore_errors=True)


def remove_orphans(used: set[str]) -> list[str]:
    """Remove the folders that no container has mounted.

    Args:
        used: the folders of all containers that exist.
    """
    removed = []
    try:
        found = list(parent().iterdir())
    except OSError:
        return []
    for folder in found:
        young = time.time() - folder.lstat().st_mtime < _YOUNG_S
        if str(folder) not in used and not young:
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(str(folder))
    return removed
