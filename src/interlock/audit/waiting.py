"""What a thread puts together waits here for its one transaction."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from interlock.types.names import Digest

EVERYBODY: Final = ""
"""Stands where a run would: content of no run."""


@dataclass(frozen=True)
class Content:
    """One blob that is to be stored."""

    run: str
    digest: Digest
    data: bytes
    stored: bytes = field(repr=False)
    """The bytes that the database gets: sealed, if it is a run's."""


class Waiting(threading.local):
    """One list for each thread; None while the thread puts nothing together."""

    def __init__(self) -> None:
        self._content: dict[tuple[str, Digest], Content] | None = None

    def add(self, content: Content) -> bool:
        """Whether it waits now; else it is to be stored at once."""
        if self._content is None:
            return False
        self._content.setdefault((content.run, content.digest), content)
        return True

    def get(self, run: str, digest: Digest) -> bytes | None:
        """The data of what waits; its own thread may read it already."""
        found = (self._content or {}).get((run, digest))
        return None if found is None else found.data

    @contextmanager
    def collecting(self) -> Iterator[dict[tuple[str, Digest], Content]]:
        """Collect until the block ends. Within another such block, that one's content."""
        if self._content is not None:
            yield {}
            return
        self._content = {}
        try:
            yield self._content
        finally:
            self._content = None
