"""The blob store: content by digest, in a database of its own that graph workers may also use."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from typing import Any, Final

from cachetools import LRUCache
from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from interlock.audit.migrate import migrate
from interlock.audit.store import Store
from interlock.audit.tables import blobs
from interlock.digest import digest_bytes
from interlock.errors import IntegrityError, InvalidInput
from interlock.types.names import DIGEST_PATTERN, Digest

MAX_BYTES: Final = 64 * 1024 * 1024
_CACHE_BYTES: Final = 32 * 1024 * 1024
_CACHED_BYTES: Final = 1024 * 1024
"""The largest blob that is kept in memory."""

_GET: Final = select(blobs.c.data).where(blobs.c.digest == bindparam("wanted"))
_GET_MANY: Final = select(blobs.c.digest, blobs.c.data).where(
    blobs.c.digest.in_(bindparam("wanted", expanding=True))
)
_AT_ONCE: Final = 500
_HAS: Final = select(blobs.c.digest).where(blobs.c.digest == bindparam("wanted"))


# PostgreSQL keeps a row from belying its digest by a constraint; and a graph worker's role may add, not update.
_PUT_POSTGRESQL: Final = postgresql.insert(blobs).on_conflict_do_nothing(index_elements=[blobs.c.digest])


def _put_sqlite() -> Any:
    """SQLite: bytes that belie their digest are put right by whoever has the true ones."""
    insert = sqlite.insert(blobs)
    return insert.on_conflict_do_update(
        index_elements=[blobs.c.digest],
        set_={"data": insert.excluded.data},
        where=blobs.c.data != insert.excluded.data,
    )


class SqlBlobs:
    """SQLite or PostgreSQL, by URL. Implements `interlock.types.Blobs`; safe to call from threads."""

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        """Open the store; make it where there is none, unless `read_only`.

        Raises:
            InvalidInput: the URL does not fit.
            LedgerUnavailable: the database cannot be reached or written.
        """
        self._store = Store("blobs", url, read_only=read_only)
        migrate(self._store)
        self._put = _put_sqlite() if self._store.sqlite else _PUT_POSTGRESQL
        self._cache: LRUCache[Digest, bytes] = LRUCache(_CACHE_BYTES, getsizeof=len)
        self._cache_lock = threading.Lock()

    def close(self) -> None:
        """Close every connection."""
        self._store.close()

    def put(self, data: bytes) -> Digest:
        """Keep `data`; return its digest. Putting it again changes nothing.

        Raises:
            InvalidInput: longer than `MAX_BYTES`.
            LedgerUnavailable: the store cannot be written.
        """
        if len(data) > MAX_BYTES:
            raise InvalidInput(f"a blob of {len(data)} bytes: the limit is {MAX_BYTES}")
        digest = digest_bytes(data)
        with self._store.write() as connection:
            connection.execute(self._put, {"digest": digest, "data": data})
        return digest

    def get(self, digest: Digest) -> bytes:
        """The bytes of `digest`, checked against it.

        Raises:
            IntegrityError: absent, or altered.
            LedgerUnavailable: the store cannot be read.
        """
        with self._cache_lock:
            cached: bytes | None = self._cache.get(digest)
        return self.get_stored(digest) if cached is None else cached

    def get_stored(self, digest: Digest) -> bytes:
        """As `get`, but always from the database: for verification, which must not be told from memory."""
        if not re.fullmatch(DIGEST_PATTERN, digest):
            raise IntegrityError(f"{digest!r} is not a digest; no blob has it")
        with self._store.read() as connection:
            data: Any = connection.execute(_GET, {"wanted": digest}).scalar()
        if data is None:
            raise IntegrityError(
                f"blob {digest} is absent from {self._store.address}",
                next_step="restore it from a backup of the blob store",
            )
        if not isinstance(data, bytes) or digest_bytes(data) != digest:
            raise IntegrityError(
                f"blob {digest} was altered: its bytes have another digest",
                next_step="restore it from a backup of the blob store",
            )
        if len(data) <= _CACHED_BYTES:
            with self._cache_lock:
                self._cache[digest] = data
        return data

    def get_many(self, digests: Iterable[Digest]) -> dict[Digest, bytes]:
        """The bytes of those of `digests` that are here and unaltered, in few queries: for reading a whole record.

        Raises:
            LedgerUnavailable: the store cannot be read.
        """
        wanted, found = sorted(set(digests)), {}
        with self._store.read() as connection:
            for start in range(0, len(wanted), _AT_ONCE):
                for row in connection.execute(_GET_MANY, {"wanted": wanted[start : start + _AT_ONCE]}):
                    data = bytes(row.data)
                    if digest_bytes(data) == row.digest:
                        found[row.digest] = data
        return found

    def has(self, digest: Digest) -> bool:
        """Whether the store holds `digest`."""
        if not re.fullmatch(DIGEST_PATTERN, digest):
            return False
        with self._store.read() as connection:
            return connection.execute(_HAS, {"wanted": digest}).first() is not None
