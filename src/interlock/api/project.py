"""What can be started: the project as a release has it, or as it is compiled now."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

from interlock.audit import SqlBlobs
from interlock.definitions import Manifest
from interlock.errors import InvalidInput
from interlock.run.compilation import compiled
from interlock.run.release import load_release
from interlock.settings import Settings

_FRESH_S: Final = 10.0
"""For so long a compiled project is shown as it was; what is started is always compiled then."""


@dataclass
class Project:
    """The project's manifest. Where a release is named no code of a team is imported here."""

    settings: Settings
    blobs: SqlBlobs
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _known: Manifest | None = None
    _at: float = 0.0
    _of: tuple[int, int] = (0, 0)

    async def manifest(self, *, fresh: bool = False) -> Manifest:
        """The manifest.

        Args:
            fresh: whether to compile it even where that was done a moment ago.

        Raises:
            ProjectError, PolicyError: something in the project is wrong.
            SandboxUnavailable: tools cannot be compiled.
            InvalidInput: the release cannot be read.
            IntegrityError: it was altered.
        """
        async with self._lock:
            if self.settings.release:
                return await asyncio.to_thread(self._released)
            if self._known is None or fresh or time.monotonic() - self._at > _FRESH_S:
                self._known = await asyncio.to_thread(compiled, self.settings, self.blobs)
                self._at = time.monotonic()
            return self._known

    def _released(self) -> Manifest:
        path = self.settings.root / self.settings.release
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if self._known is None or stamp != self._of:
                self._known, self._of = load_release(path.read_bytes(), self.blobs), stamp
        except OSError as error:
            raise InvalidInput(f"release: {str(path)!r} cannot be read: {error.strerror}") from error
        return self._known
