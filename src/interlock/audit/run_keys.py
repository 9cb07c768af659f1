"""Each run's data key: made on first use, kept wrapped beside the content that it opens, erased for ever."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from cachetools import LRUCache, TTLCache
from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from interlock.audit.codec import iso, now
from interlock.audit.tables import run_keys
from interlock.database import Store
from interlock.encryption import Cipher, KeyProvider, Wrapped, bound
from interlock.encryption.cipher import ID_BYTES, KEY_BYTES
from interlock.errors import Erased, IntegrityError, InvalidInput, Unreachable

FRESH_S: Final = 5.0
"""So long a key is used without a look at the database: an erasure reaches every process within this time."""
KEPT_S: Final = 60.0
"""So long an unwrapped key stays in memory unused."""
MAX_SCOPE: Final = 256

_OF_RUN: Final = select(run_keys).where(run_keys.c.run == bindparam("wanted"))
_OF_ID: Final = select(run_keys.c.run).where(run_keys.c.id == bindparam("wanted"))


class NoKeys:
    """Implements `KeyProvider` where none was given: content of runs can be neither read nor written."""

    def current(self) -> str:
        """Refuse."""
        raise Unreachable(
            "content of runs is encrypted, and this store was opened without a key provider",
            next_step="open it by interlock.audit.open_blobs(settings)",
        )

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        """Refuse."""
        raise AssertionError(self.current())

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        """Refuse."""
        raise AssertionError(self.current())


@dataclass(slots=True)
class _Known:
    wrapped: bytes
    cipher: Cipher
    checked: float


def context_of(run: str, id: bytes) -> bytes:
    """What a wrapped key is for: moved to another run's row it does not unwrap."""
    return bound("data key", run, id.hex())


class RunKeys:
    """The table `run_keys` of the blob database. Safe to call from threads, and from several processes.

    Every method raises `LedgerUnavailable` when the database fails, and `Unreachable` when the provider does.
    """

    def __init__(self, store: Store, provider: KeyProvider, *, fresh_s: float = FRESH_S) -> None:
        self.store, self.provider, self._fresh_s = store, provider, fresh_s
        self._known: TTLCache[str, _Known] = TTLCache(maxsize=4096, ttl=KEPT_S)
        self._runs: LRUCache[bytes, str] = LRUCache(maxsize=16_384)
        self._lock = threading.Lock()
        self._insert = (sqlite if store.sqlite else postgresql).insert(run_keys)

    def cipher(self, run: str) -> Cipher:
        """The run's cipher; its key is made where it has none yet, and of several makers one wins.

        Raises:
            Erased: the run's key was erased; it never gets another.
            IntegrityError: the stored key was altered or is another run's.
            Refused: it has none, and the store was opened for reading.
        """
        return self.existing(run) or self._made(run)

    def existing(self, run: str) -> Cipher | None:
        """As `cipher`, but None where the run has no key: reading makes none."""
        with self._lock:
            known = self._known.get(run)
        if known is not None and time.monotonic() - known.checked < self._fresh_s:
            return known.cipher
        with self.store.read() as connection:
            row = connection.execute(_OF_RUN, {"wanted": run}).first()
        if row is None:
            self.forget(run)
            return None
        return self._opened(row, known)

    def by_id(self, id: bytes) -> Cipher:
        """The cipher of the key with this id; its `scope` is the run.

        Raises:
            Erased: that key was erased.
            IntegrityError: there is no such key, or it was altered.
        """
        with self._lock:
            run: str | None = self._runs.get(id)
        if run is None:
            with self.store.read() as connection:
                run = connection.execute(_OF_ID, {"wanted": id}).scalar()
        found = self.existing(run) if run is not None else None
        if found is None or found.id != id:
            raise IntegrityError(f"there is no data key {id.hex()!r} in {self.store.address}")
        with self._lock:
            self._runs[id] = found.scope
        return found

    def erased(self, run: str) -> bool:
        """Whether the run's key was erased, as the database says now."""
        with self.store.read() as connection:
            row = connection.execute(_OF_RUN, {"wanted": run}).first()
        return row is not None and row.erased_at is not None

    def id_of(self, run: str) -> bytes | None:
        """Id of the run's key, erased or not; None where it never had one."""
        with self.store.read() as connection:
            row = connection.execute(_OF_RUN, {"wanted": run}).first()
        return None if row is None else bytes(row.id)

    def forget(self, run: str) -> None:
        """Drop what this process remembers of the run's key."""
        with self._lock:
            self._known.pop(run, None)

    def _opened(self, row: Any, known: _Known | None) -> Cipher:
        run, id, wrapped = row.run, bytes(row.id), bytes(row.wrapped)
        if row.erased_at is not None:
            self.forget(run)
            raise Erased(run, next_step=f"interlock run show {run} says by whom and why")
        if known is None or known.wrapped != wrapped or known.cipher.id != id:
            key = self.provider.unwrap(Wrapped(row.wrapped_by, wrapped), context_of(run, id))
            known = _Known(wrapped, Cipher(key, id=id, scope=run), 0.0)
        with self._lock:
            self._known[run] = _Known(wrapped, known.cipher, time.monotonic())
        return known.cipher

    def _made(self, run: str) -> Cipher:
        if not 0 < len(run) <= MAX_SCOPE:
            raise InvalidInput(f"run: a name of {len(run)} characters; a data key is for 1 to {MAX_SCOPE}")
        key, id = os.urandom(KEY_BYTES), os.urandom(ID_BYTES)
        wrapped = self.provider.wrap(key, context_of(run, id))
        row = {
            "run": run,
            "id": id,
            "wrapped_by": wrapped.key_id,
            "wrapped": wrapped.data,
            "made_at": iso(now()),
        }
        with self.store.write() as connection:
            connection.execute(self._insert.on_conflict_do_nothing(index_elements=[run_keys.c.run]), row)
        made = self.existing(run)
        assert made is not None, "a row that was inserted, or was there before, is there"
        return made
