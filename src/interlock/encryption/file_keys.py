"""Wrapping keys in a folder: `1.key`, `2.key`, … and `current`, which names the version that wraps now.

For a machine of one's own. Whoever reads the folder reads every run's content, so each file is its owner's alone.
"""

from __future__ import annotations

import os
import secrets
import threading
from pathlib import Path
from typing import Final

from interlock.encryption.cipher import KEY_BYTES
from interlock.encryption.local_keys import LocalKeys, read, written
from interlock.encryption.provider import Wrapped
from interlock.errors import InvalidInput, Unreachable

CURRENT: Final = "current"
MAKE: Final = (
    "`interlock keys create` makes them, `interlock dev` on its first start; or copy the other host's folder"
)


def create_data_keys(folder: Path) -> list[Path]:
    """Make the first version where `folder` has none; existing keys are never touched. Returns what was written."""
    if (folder / CURRENT).exists():
        return []
    versions = _versions(folder)
    return [_name_current(folder, versions[-1])] if versions else add_version(folder)


def add_version(folder: Path) -> list[Path]:
    """Make the next version and name it the current one; returns what was written.

    Raises:
        InvalidInput: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        version = max(_versions(folder), default=0) + 1
        key = folder / f"{version}.key"
        # Under its name once it is whole: others read the folder at any moment.
        unfinished = _written(folder / f".{key.name}.{os.getpid()}", written(secrets.token_bytes(KEY_BYTES)))
        os.link(unfinished, key)
        unfinished.unlink()
        return [key, _name_current(folder, version)]
    except OSError as error:
        raise InvalidInput(f"data keys: {folder} cannot be written: {error.strerror}") from error


def _name_current(folder: Path, version: int) -> Path:
    """Replaced in one step: a reader sees the old version or the new one."""
    return _written(folder / f".{CURRENT}.{os.getpid()}", str(version)).replace(folder / CURRENT)


class FileKeys:
    """Implements `KeyProvider`. A version that was added while this process runs is found when it is needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._read: tuple[tuple[int, ...], LocalKeys] | None = None

    def current(self) -> str:
        """See `KeyProvider.current`."""
        return self._keys().current

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        """See `KeyProvider.wrap`."""
        return self._keys().wrap(key, context)

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        """See `KeyProvider.unwrap`."""
        return self._keys().unwrap(wrapped, context, source=str(self.folder))

    def _keys(self) -> LocalKeys:
        """The folder's keys, read again once it changed.

        Raises:
            Unreachable: it has none. InvalidInput: a file is none, or others may read it.
        """
        with self._lock:
            try:
                state = _state(self.folder)
                if self._read is None or self._read[0] != state:
                    self._read = state, _load(self.folder)
            except OSError as error:
                reason = f"data keys: {error.filename or self.folder} cannot be read: {error.strerror}"
                raise Unreachable(reason, next_step=MAKE) from error
            return self._read[1]


def _load(folder: Path) -> LocalKeys:
    # First, since a key is there before it is named: one that is made meanwhile is then among those found.
    named = (folder / CURRENT).read_text("utf-8").strip() if (folder / CURRENT).exists() else ""
    versions = {version: _key(folder / f"{version}.key") for version in _versions(folder)}
    if not versions:
        raise Unreachable(f"data keys: {folder} has none", next_step=MAKE)
    if not named.isdecimal() or int(named) not in versions:
        known = ", ".join(map(str, sorted(versions)))
        raise InvalidInput(f"{folder / CURRENT}: names version {named[:20]!r}; there are {known}")
    return LocalKeys.of(versions, int(named))


def _key(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise InvalidInput(f"{path}: other users may read this key", next_step=f"chmod 600 {path}")
    return read(path.read_text("utf-8"), source=str(path))


def _versions(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in folder.glob("*.key") if path.stem.isdecimal())


def _state(folder: Path) -> tuple[int, ...]:
    """Changes whenever a version is added, removed or made current."""
    return folder.stat().st_mtime_ns, (folder / CURRENT).stat().st_mtime_ns


def _written(path: Path, text: str) -> Path:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{text}\n")
    return path
