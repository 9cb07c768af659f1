"""The policy in force: the files of a folder, reloaded when they change; the last good bundle stays."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from interlock.errors import PolicyError
from interlock.policy.bundle import Bundle
from interlock.policy.loader import load_bundle, policy_files

CHECK_EVERY_S: Final = 0.25
"""Least seconds between two looks at the files."""

FRESH_NS: Final = 1_000_000_000
"""Files changed less than this ago are read again at the next look."""

OnLoad = Callable[[Bundle], None]
Stamp = tuple[tuple[str, int, int, int], ...]


class PolicySource:
    """Reads `folder` and notices its changes. Safe to use from threads.

    Attributes:
        on_load: called with each new bundle *before* it is in force (`run/` stores it by its digest); if one
            raises, the bundle in force stays. Give the first ones to the constructor, so that they also see
            the first bundle.
        problem: why the files as they are now are not in force; empty when they are.
    """

    def __init__(self, folder: Path, on_load: Iterable[OnLoad] = ()) -> None:
        """Load.

        Raises:
            PolicyError: the files are wrong, and there is no older bundle to keep.
        """
        self.folder = folder
        self.on_load: list[OnLoad] = list(on_load)
        self.problem = ""
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._fresh = _is_fresh(self._stamp)
        self._checked = time.monotonic()
        self._bundle = load_bundle(folder)
        for callback in self.on_load:
            callback(self._bundle)

    def current(self) -> Bundle:
        """The bundle in force; looks at the files first, at most a few times a second."""
        if time.monotonic() - self._checked >= CHECK_EVERY_S and self._lock.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._lock.release()
        return self._bundle

    def reload(self) -> Bundle:
        """Look at the files now, and return the bundle in force."""
        with self._lock:
            self._refresh()
        return self._bundle

    def _refresh(self) -> None:
        stamp = self._look()
        if stamp != self._stamp or self._fresh:
            self._fresh = _is_fresh(stamp)
            self._load(stamp)
        self._checked = time.monotonic()

    def _load(self, stamp: Stamp) -> None:
        try:
            bundle = load_bundle(self.folder)
            if self._look() != stamp:
                return  # still being written: the next look reads it
            if bundle.digest == self._bundle.digest:
                bundle = self._bundle
            else:
                for callback in self.on_load:
                    callback(bundle)
        except PolicyError as error:
            self.problem = str(error)
        except Exception as error:  # a callback could not take it, or the folder went away: try again next time
            self.problem = f"{type(error).__name__}: {error}"
            return
        else:
            self.problem = ""
            self._bundle = bundle
        self._stamp = stamp

    def _look(self) -> Stamp:
        # Files that were refused count too, so that removing one is seen.
        paths, _ = policy_files(self.folder)
        return tuple(_stamp(path) for path in [self.folder, *paths])


def _stamp(path: Path) -> tuple[str, int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return str(path), 0, 0, 0
    return str(path), found.st_mtime_ns, found.st_size, found.st_ino


def _is_fresh(stamp: Stamp) -> bool:
    """Whether a file changed so lately that a second change could carry the same time and size: read it again."""
    now = time.time_ns()
    return any(abs(now - changed) < FRESH_NS for _, changed, _, _ in stamp)
