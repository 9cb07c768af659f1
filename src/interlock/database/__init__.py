"""One database, SQLite or PostgreSQL: what the ledger, the blob store and the accounts are kept in."""

from interlock.database.address import Address, StoreKind
from interlock.database.migrating import migrate, version_table
from interlock.database.store import Store

__all__ = ["Address", "Store", "StoreKind", "migrate", "version_table"]
