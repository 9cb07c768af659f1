"""Where codec and storage get the keys and blobs of runs: `interlock.audit.SqlBlobs`, by its interface."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from interlock.encryption import Cipher
from interlock.types.blobs import Blobs, BlobStore


class PayloadKeys(Protocol):
    """Keys of runs. Safe to call from threads."""

    def cipher(self, run: str) -> Cipher:
        """The run's; made where there is none.

        Raises:
            Erased: it was erased. Unreachable: the database or the key provider does not answer.
        """
        ...

    def by_id(self, id: bytes) -> Cipher:
        """The key with this id; its `scope` says whose it is.

        Raises:
            IntegrityError: there is none. Erased, Unreachable: as above.
        """
        ...


class KeyedBlobs(BlobStore, Protocol):
    """The blob store, and the keys of the runs whose content it keeps apart."""

    @property
    def keys(self) -> PayloadKeys:
        """The keys."""
        ...


class Vault:
    """The blob store, opened on first use: many clients never see a payload, and `interlock dev` connects before
    there is a database. What codec and storage share."""

    def __init__(self, open_store: Callable[[], KeyedBlobs]) -> None:
        """Take what opens it."""
        self._open = open_store
        self._opened: KeyedBlobs | None = None
        self._lock = threading.Lock()

    @property
    def keys(self) -> PayloadKeys:
        """The keys of runs.

        Raises:
            Unreachable: the database does not answer.
        """
        return self._store().keys

    def blobs(self, run: str) -> Blobs:
        """The blobs of a run; of none, those of everybody.

        Raises:
            Unreachable: the database does not answer.
        """
        store = self._store()
        return store.of(run) if run else store

    def _store(self) -> KeyedBlobs:
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened
