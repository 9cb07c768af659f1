"""Bring a store's schema up to date when it is opened. Openers that race wait for the first one."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from interlock.database.address import StoreKind
from interlock.database.store import Store
from interlock.errors import LedgerUnavailable

_alembic = threading.Lock()


def version_table(kind: StoreKind) -> str:
    """The table that names the migration a store is at."""
    return f"interlock_{kind}_version"


def migrate(store: Store, folder: Path, last: str) -> None:
    """Run the migrations that the store lacks, all in one transaction.

    Args:
        store: open.
        folder: holds Alembic's `env.py`, and the migrations in a folder named as the store's kind.
        last: the newest migration, known without loading Alembic.

    Raises:
        LedgerUnavailable: it cannot be written, a newer Interlock wrote it, or it is behind and open for
            reading only.
    """
    with store.read() as connection:
        if _version(connection, store, last) == last:
            return
    if store.read_only:
        raise LedgerUnavailable(
            f"the {store.address.kind} {store.address} lacks the tables of this version of Interlock",
            next_step="start an executor or `interlock dev` of this version: it brings them up to date",
        )
    with store.write() as connection:
        store.lock(connection, f"interlock migrate {store.address.kind}")
        if _version(connection, store, last) != last:
            _upgrade(connection, store.address.kind, folder)


def _version(connection: Connection, store: Store, last: str) -> str:
    table = version_table(store.address.kind)
    if not inspect(connection).has_table(table):
        return ""
    version: str = connection.execute(text(f"SELECT version_num FROM {table}")).scalar() or ""  # noqa: S608
    if version > last:
        raise LedgerUnavailable(
            f"the {store.address.kind} {store.address} is at {version}, which this version does not know",
            next_step="use the newer version of Interlock that wrote it",
        )
    return version


def _upgrade(connection: Connection, kind: StoreKind, folder: Path) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection, "version_table": version_table(kind)})
    config.set_main_option("path_separator", "newline")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("version_locations", str(folder / kind).replace("%", "%%"))
    # Alembic's contexts are globals of the process.
    with _alembic:
        command.upgrade(config, "head")
