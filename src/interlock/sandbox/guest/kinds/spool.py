"""Output of a program, or an answer: in the value while it is small, else an artifact with head and tail here."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from typing import IO

from .room import MOST_KEPT, artifact_path

_CHUNK = 64 * 1024


class TooMuch(Exception):
    """More came than is kept."""


class Spool:
    """Takes bytes of one output."""

    def __init__(self, name: str, inline: int) -> None:
        self.name = name
        """The artifact's name, if there is need of one."""
        self.size = 0
        self._inline = inline
        self._held = bytearray()
        self._file: io.FileIO | None = None
        self._lock = threading.Lock()

    def feed(self, chunk: bytes) -> None:
        """Take a part.

        Raises:
            TooMuch: over the cap, or there is no space for it.
        """
        with self._lock:
            self.size += len(chunk)
            if self.size > MOST_KEPT:
                raise TooMuch(f"{self.name}: more than {MOST_KEPT} bytes")
            try:
                self._keep(chunk)
            except OSError as error:
                raise TooMuch(f"{self.name}: {self.size} bytes cannot be kept: {error.strerror}") from error

    def _keep(self, chunk: bytes) -> None:
        if self._file is None and self.size > self._inline:
            # Unbuffered: the process ends without flushing.
            self._file = io.FileIO(artifact_path(self.name), "w+")
            chunk = bytes(self._held) + chunk
        if self._file is None:
            self._held += chunk
            return
        left = memoryview(chunk)
        while left:
            left = left[self._file.write(left) :]

    @property
    def whole(self) -> bytes:
        """All of it."""
        with self._lock:
            return bytes(self._held) if self._file is None else self._part(0, self.size)

    @property
    def text(self) -> str:
        """All of it, or head and tail with what was left out said in place. What is no UTF-8 is replaced."""
        with self._lock:
            if self._file is None:
                return self._held.decode("utf-8", "replace")
            half = self._inline // 2
            head, tail = self._part(0, half), self._part(self.size - half, half)
        note = f"[{self.size - 2 * half} of {self.size} bytes left out here; the whole is artifact {self.name!r}]"
        return f"{head.decode('utf-8', 'replace')}\n{note}\n{tail.decode('utf-8', 'replace')}"

    def _part(self, start: int, size: int) -> bytes:
        assert self._file is not None, "it has become a file"
        self._file.seek(start)
        found = self._file.read(size)
        self._file.seek(0, io.SEEK_END)
        return found


class Pump(threading.Thread):
    """Reads a pipe into a spool until its end, or until there is too much; shows what comes to whoever looks on."""

    def __init__(self, pipe: IO[bytes], spool: Spool, shown: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.error: TooMuch | None = None
        self._pipe, self._spool, self._shown = pipe, spool, shown
        self.start()

    def run(self) -> None:
        """The thread."""
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self._pipe.fileno(), _CHUNK):
                try:
                    self._spool.feed(chunk)
                except TooMuch as error:
                    self.error = error
                    return
                self._shown.write(chunk)
                self._shown.flush()
