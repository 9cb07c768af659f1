"""The migrations of ledger and blob store, and bringing one up to date when it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from interlock import database
from interlock.database import Store, StoreKind, version_table

__all__ = ["FOLDER", "LAST", "migrate", "version_table"]

FOLDER: Final = Path(__file__).parent / "migrations"
LAST: Final[dict[StoreKind, str]] = {"ledger": "ledger_0006", "blobs": "blobs_0002"}
"""The newest migration of each store: known without loading Alembic, so that opening stays quick."""


def migrate(store: Store) -> None:
    """Run the migrations that the store lacks.

    Raises:
        LedgerUnavailable: it cannot be written, a newer Interlock wrote it, or it is behind and open for
            reading only.
    """
    database.migrate(store, FOLDER, LAST[store.address.kind])
