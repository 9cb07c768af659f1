"""Which calls have a container, as files of this host: whoever makes a call's file first may begin at once.

The engine gives a name once, too, and that is how a call's container is found again; but renaming takes it
milliseconds. Until then the file tells which container it is. Where the file is there already (another executor was
first, or died), the engine's answer is waited for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from interlock.sandbox.private_folder import is_private, private_folder

_YOUNG_S: Final = 60
_OLD_S: Final = 24 * 3600
"""No call takes so long: its file was left by an executor that died."""


class ClaimFiles:
    """The files of one user's executors."""

    def __init__(self, folder: Path | None = None) -> None:
        """Args:
        folder: None: the host's one for this user.
        """
        self._folder = folder or private_folder("claims")
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._sweep()

    def first(self, name: str, ident: str) -> bool:
        """Whether nobody on this host had claimed this name; now it is, for the container of this id.

        False where that cannot be known.
        """
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            if not is_private(self._folder):
                return False
            with os.fdopen(os.open(self._folder / name, flags, 0o600), "w", encoding="ascii") as file:
                file.write(ident)
        except OSError:
            return False
        return True

    def holder(self, name: str) -> str:
        """The id of the container that a name was claimed for; empty: it is not claimed on this host."""
        with suppress(OSError):
            if is_private(self._folder):
                return (self._folder / name).read_text("ascii")
        return ""

    def held(self) -> set[str]:
        """The ids of all containers that a call was claimed for."""
        with suppress(OSError):
            return {self.holder(path.name) for path in self._folder.iterdir()} - {""}
        return set()

    def forget(self, gone: Callable[[str], bool], *, older_than_s: float = _YOUNG_S) -> list[str]:
        """Drop the claims of containers that are gone; their names.

        Args:
            gone: whether there is no container of this id any more.
            older_than_s: younger ones stay, since the engine may not yet know their containers by name.
        """
        dropped = []
        with suppress(OSError):
            for path in self._folder.iterdir() if is_private(self._folder) else ():
                old = path.lstat().st_mtime < time.time() - older_than_s
                if old and gone(self.holder(path.name)):
                    path.unlink()
                    dropped.append(path.name)
        return dropped

    def drop(self, name: str) -> None:
        """The container of that name is gone, or has another name."""
        with suppress(OSError):
            (self._folder / name).unlink()

    def _sweep(self) -> None:
        for path in self._folder.iterdir() if is_private(self._folder) else ():
            if path.lstat().st_mtime < time.time() - _OLD_S:
                path.unlink()
