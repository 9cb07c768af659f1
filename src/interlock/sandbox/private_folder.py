"""Folders in the host's temporary folder that no other user may enter."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def private_folder(purpose: str) -> Path:
    """This user's folder for a purpose; short, because a socket's path may have 107 bytes only."""
    return Path(tempfile.gettempdir()) / f"interlock-{purpose}-{os.getuid()}"


def is_private(folder: Path) -> bool:
    """Whether it is a folder, ours, and closed to others. Raises OSError where it cannot be looked at."""
    seen = folder.lstat()
    return seen.st_uid == os.getuid() and not seen.st_mode & 0o077 and not folder.is_symlink()
