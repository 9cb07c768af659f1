"""A policy that is not in force, read from a folder and read again when its files change."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from interlock.errors import InterlockError
from interlock.policy import Bundle, load_bundle
from interlock.policy.loader import policy_files

LOOK_S: Final = 1.0
"""Least seconds between two looks."""


@dataclass
class Candidate:
    """A folder's policy, read again when its files change; the last good one stays where they do not load."""

    folder: Path | None = None
    bundle: Bundle | None = None
    problem: str = ""
    _stamp: object = None
    _looked: float = -LOOK_S

    def current(self, folder: Path) -> Bundle | None:
        """What the files say, looked at most once a second; None before they ever loaded."""
        if folder != self.folder:
            self.folder, self.bundle, self._stamp, self._looked = folder, None, None, -LOOK_S
        if time.monotonic() - self._looked >= LOOK_S:
            self._looked = time.monotonic()
            if (stamp := _stamp(folder)) != self._stamp:
                self._stamp = stamp
                self._load(folder)
        return self.bundle

    def _load(self, folder: Path) -> None:
        try:
            self.bundle, self.problem = load_bundle(folder), ""
        except (InterlockError, OSError) as error:
            self.problem = str(error)[:500]


def _stamp(folder: Path) -> object:
    paths, _ = policy_files(folder)
    found = [(str(path), path.stat()) for path in paths]
    return [(name, stat.st_mtime_ns, stat.st_size, stat.st_ino) for name, stat in found]
