"""The blob store: content by digest, in a database of its own that graph workers may also use.

What belongs to no run (manifests, tools' sources, policy bundles) is kept plain and shared; `of(run)` is what a run
read and wrote, encrypted under its key.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from cachetools import LRUCache, TTLCache
from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from interlock.audit.erasing import erase, not_erased
from interlock.audit.migrate import migrate
from interlock.audit.run_blobs import RunBlobs
from interlock.audit.run_keys import NoKeys, RunKeys
from interlock.audit.tables import blobs
from interlock.audit.waiting import EVERYBODY, Content, Waiting
from interlock.database import Store
from interlock.digest import digest_bytes
from interlock.encryption import KeyProvider
from interlock.errors import IntegrityError, InvalidInput
from interlock.types.names import DIGEST_PATTERN, Digest

MAX_BYTES: Final = 64 * 1024 * 1024
_CACHE_BYTES: Final = 32 * 1024 * 1024
_CACHED_BYTES: Final = 1024 * 1024
"""The largest blob that is kept in memory."""
_KEPT_S: Final = 30.0
"""A run's content leaves memory after this time: that of an erased run too."""

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
    """SQLite or PostgreSQL, by URL. Implements `interlock.types.BlobStore`; safe to call from threads.

    Attributes:
        store: the open database.
        keys: the runs' data keys.
    """

    def __init__(self, url: str, provider: KeyProvider | None = None, *, read_only: bool = False) -> None:
        """Open the store; make it where there is none, unless `read_only`.

        Args:
            url: of the database.
            provider: unwraps the runs' data keys; without one, content of runs is refused.
            read_only: whether nothing may be written.

        Raises:
            InvalidInput: the URL does not fit.
            LedgerUnavailable: the database cannot be reached or written.
        """
        self.store = Store("blobs", url, read_only=read_only)
        migrate(self.store)
        self.keys = RunKeys(self.store, provider or NoKeys())
        self._put = _put_sqlite() if self.store.sqlite else _PUT_POSTGRESQL
        self._cache: LRUCache[Digest, bytes] = LRUCache(_CACHE_BYTES, getsizeof=len)
        self._of_runs: TTLCache[tuple[str, Digest], bytes] = TTLCache(_CACHE_BYTES, _KEPT_S, getsizeof=len)
        self._cache_lock = threading.Lock()
        self._waiting = Waiting()

    def close(self) -> None:
        """Close every connection."""
        self.store.close()

    def of(self, run: str) -> RunBlobs:
        """What `run` read and wrote: encrypted under its key, and gone when that is erased."""
        return RunBlobs(self, run)

    def erase(self, run: str) -> None:
        """Erase the run's data key and its content; whoever wants to say why has put it on record before. Doing it
        again changes nothing.

        Raises:
            LedgerUnavailable: the store cannot be written.
        """
        erase(self.store, run)
        self.keys.forget(run)
        with self._cache_lock:
            for key in [key for key in self._of_runs if key[0] == run]:
                del self._of_runs[key]

    def not_erased(self, runs: Sequence[str]) -> list[str]:
        """Those of `runs` that have a key or content here."""
        return not_erased(self.store, runs)

    @contextmanager
    def together(self) -> Iterator[None]:
        """See `interlock.types.BlobStore`."""
        with self._waiting.collecting() as content:
            yield
            self._write(content.values())

    def store_content(self, content: Content) -> None:
        """Store it, at once or with what its thread puts together."""
        if not self._waiting.add(content):
            self._write([content])

    def _write(self, content: Collection[Content]) -> None:
        if not content:
            return
        old = []
        with self.store.write() as connection:
            for one in content:
                if one.run == EVERYBODY:
                    connection.execute(self._put, {"digest": one.digest, "data": one.stored})
                elif not self.of(one.run).insert(connection, one):
                    old.append(one)
        for one in old:
            self.of(one.run).mend(one)
        for one in content:
            self.keep(one.run, one.digest, one.data)

    def kept(self, run: str, digest: Digest) -> bytes | None:
        """A blob of a run from memory; None where it is not there, or the run has no key."""
        if (waits := self._waiting.get(run, digest)) is not None:
            return waits
        with self._cache_lock:
            data: bytes | None = self._of_runs.get((run, digest))
        # Its key is looked at again and again, so that an erasure in another process ends this too.
        return None if data is None or self.keys.existing(run) is None else data

    def remembered(self, digest: Digest) -> bytes | None:
        """A blob of all runs from memory; None where it is not there."""
        if (waits := self._waiting.get(EVERYBODY, digest)) is not None:
            return waits
        with self._cache_lock:
            data: bytes | None = self._cache.get(digest)
        return data

    def keep(self, run: str, digest: Digest, data: bytes) -> None:
        """Remember a blob of a run for a while; one of no run for longer."""
        if len(data) > _CACHED_BYTES:
            return
        with self._cache_lock:
            if run == EVERYBODY:
                self._cache[digest] = data
            else:
                self._of_runs[run, digest] = data

    def put(self, data: bytes) -> Digest:
        """Keep `data` for all runs, unencrypted; return its digest. Putting it again changes nothing.

        Raises:
            InvalidInput: longer than `MAX_BYTES`.
            LedgerUnavailable: the store cannot be written.
        """
        if len(data) > MAX_BYTES:
            raise InvalidInput(f"a blob of {len(data)} bytes: the limit is {MAX_BYTES}")
        digest = digest_bytes(data)
        self.store_content(Content(EVERYBODY, digest, data, data))
        return digest

    def get(self, digest: Digest) -> bytes:
        """The bytes of `digest`, checked against it.

        Raises:
            IntegrityError: absent, or altered.
            LedgerUnavailable: the store cannot be read.
        """
        cached = self.remembered(digest)
        return self.get_stored(digest) if cached is None else cached

    def get_stored(self, digest: Digest) -> bytes:
        """As `get`, but always from the database: for verification, which must not be told from memory."""
        if not re.fullmatch(DIGEST_PATTERN, digest):
            raise IntegrityError(f"{digest!r} is not a digest; no blob has it")
        with self.store.read() as connection:
            data: Any = connection.execute(_GET, {"wanted": digest}).scalar()
        if data is None:
            raise IntegrityError(
                f"blob {digest} is absent from {self.store.address}",
                next_step="restore it from a backup of the blob store",
            )
        if not isinstance(data, bytes) or digest_bytes(data) != digest:
            raise IntegrityError(
                f"blob {digest} was altered: its bytes have another digest",
                next_step="restore it from a backup of the blob store",
            )
        self.keep(EVERYBODY, digest, data)
        return data

    def get_many(self, digests: Iterable[Digest]) -> dict[Digest, bytes]:
        """The bytes of those of `digests` that are here and unaltered, in few queries: for reading a whole record.

        Raises:
            LedgerUnavailable: the store cannot be read.
        """
        wanted, found = sorted(set(digests)), {}
        with self.store.read() as connection:
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
        with self.store.read() as connection:
            return connection.execute(_HAS, {"wanted": digest}).first() is not None
