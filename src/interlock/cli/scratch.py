"""Blobs in memory, for commands that compile or try something and record nothing."""

from __future__ import annotations

from interlock.digest import digest_bytes
from interlock.errors import IntegrityError
from interlock.types.names import Digest


class ScratchBlobs:
    """Implements `interlock.types.Blobs`; gone with the process."""

    def __init__(self) -> None:
        self._kept: dict[Digest, bytes] = {}

    def put(self, data: bytes) -> Digest:
        """Keep `data`; return its digest."""
        digest = digest_bytes(data)
        self._kept[digest] = data
        return digest

    def get(self, digest: Digest) -> bytes:
        """The bytes of `digest`. Raises IntegrityError where absent."""
        if digest not in self._kept:
            raise IntegrityError(f"blob {digest} is absent")
        return self._kept[digest]

    def has(self, digest: Digest) -> bool:
        """Whether `digest` is kept."""
        return digest in self._kept
