"""Blobs as the things they hold, kept for the next step: what a digest names never changes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from langchain_core.messages import BaseMessage

from interlock.definitions.manifest import Manifest
from interlock.digest import parse
from interlock.graph.transcript import Link, load, read_link
from interlock.types.blobs import Blobs
from interlock.types.names import Digest


class Reader:
    """Reads through the blob store and keeps what it read last."""

    def __init__(self, blobs: Blobs) -> None:
        self.blobs = blobs
        self.read = lru_cache(maxsize=256)(blobs.get)
        self.link = lru_cache(maxsize=4096)(self._link)
        self.manifest = lru_cache(maxsize=32)(self._manifest)
        self._known: tuple[str, list[BaseMessage]] = ("", [])

    def conversation(self, head: str, new: Sequence[BaseMessage]) -> list[BaseMessage]:
        """All messages up to `head`, then `new`, outputs filled in. A turn reads what came since the one before."""
        known = self._known
        seen = load(head, self.link, self.read, known=known)
        self._known = (head, seen)
        return [*seen, *load("", self.link, self.read, new)]

    def _link(self, digest: Digest) -> Link:
        return read_link(self.blobs.get(digest))

    def _manifest(self, digest: Digest) -> Manifest:
        return Manifest.model_validate(parse(self.blobs.get(digest)))
