"""One run's part of the blob store: encrypted under the run's data key, each blob bound to its run and digest."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from interlock.audit.tables import run_blobs
from interlock.audit.waiting import Content
from interlock.digest import digest_bytes
from interlock.encryption import bound
from interlock.errors import Erased, IntegrityError, InvalidInput
from interlock.types.names import DIGEST_PATTERN, Digest

if TYPE_CHECKING:
    from interlock.audit.blobs import SqlBlobs

MAX_BYTES: Final = 64 * 1024 * 1024
_RESTORE: Final = "restore it from a backup of the blob store"
_AT_ONCE: Final = 500
_KEY: Final = [run_blobs.c.run, run_blobs.c.digest]
_ONE: Final = (run_blobs.c.run == bindparam("of_run")) & (run_blobs.c.digest == bindparam("wanted"))
_GET: Final = select(run_blobs.c.data).where(_ONE)
_HAS: Final = select(run_blobs.c.digest).where(_ONE)
_MEND: Final = update(run_blobs).where(_ONE)
_GET_MANY: Final = select(run_blobs.c.digest, run_blobs.c.data).where(
    run_blobs.c.run == bindparam("of_run"), run_blobs.c.digest.in_(bindparam("wanted", expanding=True))
)
_PUT: Final = {
    True: sqlite.insert(run_blobs).on_conflict_do_nothing(index_elements=_KEY),
    False: postgresql.insert(run_blobs).on_conflict_do_nothing(index_elements=_KEY),
}
"""By whether the store is SQLite."""


def place(run: str, digest: Digest) -> bytes:
    """What a blob's bytes are bound to: moved to another row they do not open."""
    return bound("blob", run, digest)


class RunBlobs:
    """Implements `interlock.types.BlobStore` for one run. What the run pins (manifest, tools, bundles) is not its
    own: a digest that it does not have is read from the shared blobs. Safe to call from threads.

    Every method raises `Erased` once the run's key is erased, but `has`, and `get` of what is shared.
    """

    __slots__ = ("_store", "run")

    def __init__(self, store: SqlBlobs, run: str) -> None:
        self._store, self.run = store, run

    def of(self, run: str) -> RunBlobs:
        """The content of a run, this one or another."""
        return self if run == self.run else RunBlobs(self._store, run)

    def put(self, data: bytes) -> Digest:
        """Keep `data` for this run; return its digest. Putting it again changes nothing.

        Raises:
            InvalidInput: longer than `MAX_BYTES`.
            Erased: the run's content was erased; it takes no more.
            LedgerUnavailable, Unreachable: the store cannot be written, or the key not had.
        """
        if len(data) > MAX_BYTES:
            raise InvalidInput(f"a blob of {len(data)} bytes: the limit is {MAX_BYTES}")
        digest = digest_bytes(data)
        sealed = self._store.keys.cipher(self.run).seal(data, place(self.run, digest))
        self._store.store_content(Content(self.run, digest, data, sealed))
        return digest

    def together(self) -> AbstractContextManager[None]:
        """See `interlock.types.BlobStore`."""
        return self._store.together()

    def insert(self, connection: Connection, content: Content) -> bool:
        """Whether it was not there before; then somebody must look whether what is there is right."""
        row = {"run": self.run, "digest": content.digest, "data": content.stored}
        return connection.execute(_PUT[self._store.store.sqlite], row).rowcount > 0

    def get(self, digest: Digest) -> bytes:
        """The bytes of `digest`, checked against it.

        Raises:
            IntegrityError: absent, altered, or moved from another row.
            Erased: the run had it, or may have had it, and was erased.
            LedgerUnavailable, Unreachable: the store cannot be read, or the key not had.
        """
        cached = self._store.kept(self.run, digest)
        if cached is None:  # a digest says what it names, whoever keeps it
            cached = self._store.remembered(digest)
        return self.get_stored(digest) if cached is None else cached

    def get_stored(self, digest: Digest) -> bytes:
        """As `get`, but always from the database: for verification, which must not be told from memory."""
        if not re.fullmatch(DIGEST_PATTERN, digest):
            raise IntegrityError(f"{digest!r} is not a digest; no blob has it")
        sealed = self._sealed(digest)
        if sealed is None:
            return self._shared(digest)
        data = self._opened(digest, sealed)
        self._store.keep(self.run, digest, data)
        return data

    def get_many(self, digests: Iterable[Digest]) -> dict[Digest, bytes]:
        """The bytes of those of `digests` that are here and unaltered, in few queries; of an erased run, none of
        its own."""
        wanted = sorted(set(digests))
        found: dict[Digest, bytes] = {}
        with self._store.store.read() as connection:
            for start in range(0, len(wanted), _AT_ONCE):
                some = {"of_run": self.run, "wanted": wanted[start : start + _AT_ONCE]}
                found |= {row.digest: bytes(row.data) for row in connection.execute(_GET_MANY, some)}
        opened: dict[Digest, bytes] = {}
        for digest, sealed in found.items():
            try:
                opened[digest] = self._opened(digest, sealed)
            except (IntegrityError, Erased):
                continue
        return self._store.get_many(digest for digest in wanted if digest not in found) | opened

    def has(self, digest: Digest) -> bool:
        """Whether the run, or the shared store, holds `digest`."""
        if not re.fullmatch(DIGEST_PATTERN, digest):
            return False
        with self._store.store.read() as connection:
            own = connection.execute(_HAS, {"of_run": self.run, "wanted": digest}).first() is not None
        return own or self._store.has(digest)

    def _sealed(self, digest: Digest) -> bytes | None:
        with self._store.store.read() as connection:
            data: Any = connection.execute(_GET, {"of_run": self.run, "wanted": digest}).scalar()
        return None if data is None else bytes(data)

    def _shared(self, digest: Digest) -> bytes:
        try:
            return self._store.get_stored(digest)
        except IntegrityError:
            if self._store.keys.erased(self.run):
                raise Erased(self.run) from None
            raise

    def _opened(self, digest: Digest, sealed: bytes) -> bytes:
        cipher = self._store.keys.existing(self.run)
        if cipher is None:
            raise IntegrityError(
                f"blob {digest} of run {self.run!r} cannot be read: the run's data key is gone, and was not erased "
                "on record",
                next_step="restore table run_keys from a backup of the blob store",
            )
        try:
            data = cipher.open(sealed, place(self.run, digest))
        except IntegrityError as error:
            raise self._altered(digest) from error
        if digest_bytes(data) != digest:
            raise self._altered(digest)
        return data

    def _altered(self, digest: Digest) -> IntegrityError:
        reason = f"blob {digest} of run {self.run!r} was altered: its bytes do not open as that blob"
        return IntegrityError(reason, next_step=_RESTORE)

    def mend(self, content: Content) -> None:
        """Bytes that are there already and are not this blob are put right by whoever has the true ones."""
        try:
            self.get_stored(content.digest)
        except IntegrityError:
            with self._store.store.write() as connection:
                row = {"of_run": self.run, "wanted": content.digest, "data": content.stored}
                connection.execute(_MEND, row)
