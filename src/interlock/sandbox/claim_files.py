"""Which calls have a container, as files of this host: whoever makes a call's file first may begin at once.

The engine gives a name once, too, and that is how a call's container is found again; but renaming takes it
milliseconds. Where the file is there already (another executor was first, or died), its answer is waited for.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_OLD_S: Final = 24 * 3600
"""No call takes so long: its file was left by an executor that died."""


class ClaimFiles:
    """The files of one user's executors."""

    def __init__(self, folder: Path | None = None) -> None:
        """Args:
        folder: None: the host's one for this user.
        """
        self._folder = folder or Path(tempfile.gettempdir()) / f"interlock-claims-{os.getuid()}"
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._sweep()

    def first(self, name: str) -> bool:
        """Whether nobody on this host had claimed this name; now it is. False where that cannot be known."""
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            if not self._is_ours():
                return False
            os.close(os.open(self._folder / name, flags, 0o600))
        except OSError:
            return False
        return True

    def drop(self, name: str) -> None:
        """The container of that name is gone, or has another name."""
        with suppress(OSError):
            (self._folder / name).unlink()

    def _is_ours(self) -> bool:
        seen = self._folder.lstat()
        return seen.st_uid == os.getuid() and not seen.st_mode & 0o077 and not self._folder.is_symlink()

    def _sweep(self) -> None:
        for path in self._folder.iterdir() if self._is_ours() else ():
            if path.lstat().st_mtime < time.time() - _OLD_S:
                path.unlink()
