"""Where bytes are kept by their digest: the port that every mechanism writes content through."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from interlock.types.names import Digest


class Blobs(Protocol):
    """Content-addressed store. Putting the same bytes twice keeps one copy. Safe to call from threads."""

    def put(self, data: bytes) -> Digest:
        """Keep `data`; return its digest.

        Raises:
            LedgerUnavailable: the store cannot be written.
        """
        ...

    def get(self, digest: Digest) -> bytes:
        """The bytes of `digest`, checked against it.

        Raises:
            IntegrityError: absent, or altered.
            LedgerUnavailable: the store cannot be read.
        """
        ...

    def has(self, digest: Digest) -> bool:
        """Whether the store holds `digest`."""
        ...


class BlobStore(Blobs, Protocol):
    """Content of many runs. Its own methods are for what belongs to no run: manifests, tools, bundles."""

    def of(self, run: str) -> BlobStore:
        """The content of one run, encrypted under the run's key; what it lacks is read from what is shared."""
        ...

    def together(self) -> AbstractContextManager[None]:
        """What this thread puts inside the block is stored when the block ends, at once and wholly. `get` gives it
        before; until then others must not be told its digest. A block that fails stores nothing.

        Raises:
            LedgerUnavailable: when the block ends, as `put`.
        """
        ...
