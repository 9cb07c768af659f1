"""Blobs in memory: for whatever compiles or tries something and records nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Self

from interlock.digest import digest_bytes
from interlock.errors import IntegrityError
from interlock.types.names import Digest


class ScratchBlobs:
    """Implements `interlock.types.BlobStore`; gone with the process."""

    def __init__(self) -> None:
        self.content: dict[Digest, bytes] = {}

    def put(self, data: bytes) -> Digest:
        """Keep `data`; return its digest."""
        digest = digest_bytes(data)
        self.content[digest] = data
        return digest

    def get(self, digest: Digest) -> bytes:
        """The bytes of `digest`. Raises IntegrityError where absent."""
        if digest not in self.content:
            raise IntegrityError(f"blob {digest} is absent")
        return self.content[digest]

    def has(self, digest: Digest) -> bool:
        """Whether `digest` is kept."""
        return digest in self.content

    def of(self, run: str) -> Self:
        """These same blobs: nothing is kept, so nothing is encrypted."""
        return self

    def together(self) -> AbstractContextManager[None]:
        """See `interlock.types.BlobStore`."""
        return nullcontext()
