"""Erasing a run: its data key is overwritten, its content deleted, and a tombstone says that there was a key."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from interlock.audit.codec import iso, now
from interlock.audit.tables import run_blobs, run_keys
from interlock.database import Store
from interlock.encryption.cipher import ID_BYTES

_AT_ONCE: Final = 500
_GONE: Final = {"wrapped": b"", "wrapped_by": ""}


def erase(store: Store, run: str) -> None:
    """Erase the key and the content of `run`; a run that has no key gets the tombstone all the same.

    Raises:
        LedgerUnavailable: the store cannot be written.
    """
    with store.write() as connection:
        if store.sqlite:
            # Otherwise what is deleted stays readable in the file's free pages.
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
        _tombstone(connection, run)
        connection.execute(delete(run_blobs).where(run_blobs.c.run == run))
    if store.sqlite:
        _empty_log(store)


def not_erased(store: Store, runs: Sequence[str]) -> list[str]:
    """Those of `runs` that have a key or content.

    Raises:
        LedgerUnavailable: the store cannot be read.
    """
    found: set[str] = set()
    with store.read() as connection:
        for start in range(0, len(runs), _AT_ONCE):
            some = runs[start : start + _AT_ONCE]
            with_key = select(run_keys.c.run).where(run_keys.c.run.in_(some), run_keys.c.erased_at.is_(None))
            with_content = select(run_blobs.c.run).where(run_blobs.c.run.in_(some)).distinct()
            found.update(connection.execute(with_key).scalars(), connection.execute(with_content).scalars())
    return sorted(found)


def _tombstone(connection: Connection, run: str) -> None:
    found = connection.execute(select(run_keys.c.erased_at).where(run_keys.c.run == run)).first()
    if found is None:
        row = {"run": run, "id": os.urandom(ID_BYTES), "made_at": iso(now()), "erased_at": iso(now())}
        connection.execute(insert(run_keys), row | _GONE)
    elif found.erased_at is None:
        connection.execute(update(run_keys).where(run_keys.c.run == run), {"erased_at": iso(now()), **_GONE})


def _empty_log(store: Store) -> None:
    """Older pages of SQLite's write-ahead log hold what was there before. Readers may hold it open: then whoever
    closes the file last empties it."""
    connection = store.engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    finally:
        connection.close()
