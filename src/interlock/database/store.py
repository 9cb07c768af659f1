"""One database, SQLite or PostgreSQL: its connections, its transactions, and its failures in our words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from sqlite3 import Connection as SqliteConnection
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import IntegrityError as ConstraintError
from tenacity import Retrying, retry_if_exception_message, stop_after_delay, wait_random

from interlock.database import postgresql
from interlock.database.address import Address, StoreKind
from interlock.errors import Conflict, InterlockError, InvalidInput, LedgerUnavailable, Refused

BUSY_TIMEOUT_S: Final = 10
_BEGIN: Final = "interlock_begin"
_SNAPSHOT: Final = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


class Store:
    """An open database."""

    def __init__(self, kind: StoreKind, url: str, *, read_only: bool = False) -> None:
        """Open it; make the SQLite file where there is none. The schema is `interlock.database.migrating`'s matter.

        Raises:
            InvalidInput: the URL does not fit.
            LedgerUnavailable: the file is not there (`read_only`) or cannot be made.
        """
        self.address = Address.read(kind, url)
        self.address.prepare(read_only=read_only)
        self.read_only = read_only
        self.engine = _sqlite(self.address, read_only) if self.sqlite else _postgresql(self.address, read_only)
        # SQLite has one writer. Threads queue here, which is fair, and not in its busy loop, which is not.
        self._writer: AbstractContextManager[Any] = threading.Lock() if self.sqlite else nullcontext()

    @property
    def sqlite(self) -> bool:
        """Whether this is a SQLite file."""
        return self.address.sqlite

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; all of it or nothing is stored.

        Raises:
            Refused: the store was opened for reading.
            Conflict: another writer stored the same row first.
            LedgerUnavailable: any failure of the database.
        """
        if self.read_only:
            raise Refused(f"the {self.address.kind} was opened for reading only")
        with self._translated(), self._writer, self.engine.connect() as connection:
            with connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"}).begin():
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction whose reads all see one state of the database.

        Raises:
            LedgerUnavailable: any failure of the database.
        """
        with self._translated(), self.engine.connect() as connection:
            if not self.sqlite:
                connection.execute(_SNAPSHOT)
            yield connection

    def lock(self, connection: Connection, *names: str) -> None:
        """Hold `names` until the transaction ends. A SQLite writer is alone already."""
        if self.sqlite:
            return
        for name in sorted(names):
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})

    def unavailable(self, cause: str) -> LedgerUnavailable:
        """The error that says `cause` and what to do about it."""
        cause = self.address.redact(cause)
        return LedgerUnavailable(
            f"the {self.address.kind} {self.address} cannot be used: {cause}",
            next_step=self.address.next_step(cause),
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except InterlockError:
            raise
        except SQLAlchemyError as error:
            if _violates_constraint(error):
                raise Conflict(f"the {self.address.kind} refused a write: {_cause(error)}") from error
            raise self.unavailable(_cause(error)) from error
        except UnicodeEncodeError as error:
            raise InvalidInput(f"not valid UTF-8: {error.reason}") from error
        except OSError as error:
            # The driver lets a failed TLS handshake through as it is.
            raise self.unavailable(str(error) or type(error).__name__) from error


def _violates_constraint(error: SQLAlchemyError) -> bool:
    return isinstance(error, DBAPIError) and (
        isinstance(error, ConstraintError) or postgresql.violates_constraint(error.orig)
    )


def _cause(error: SQLAlchemyError) -> str:
    """The driver's own first line: SQLAlchemy's text has the statement and its parameters in it."""
    origin = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return postgresql.said(origin).strip().partition("\n")[0] or type(origin).__name__


def _sqlite(address: Address, read_only: bool) -> Engine:
    engine = create_engine(
        address.url,
        connect_args={"timeout": BUSY_TIMEOUT_S, "isolation_level": None},
        pool_size=8,
        max_overflow=24,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _connected(raw: SqliteConnection, _record: object) -> None:
        _pragmas(raw, read_only=read_only)

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))

    return engine


def _pragmas(raw: SqliteConnection, *, read_only: bool) -> None:
    # Processes that open a new file together may each find it locked for this one change.
    busy = retry_if_exception_message(match=".*locked")
    wait = wait_random(0.005, 0.05)
    for attempt in Retrying(retry=busy, stop=stop_after_delay(BUSY_TIMEOUT_S), wait=wait, reraise=True):
        with attempt:
            if not read_only and raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                raw.execute("PRAGMA journal_mode = WAL")
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON", "recursive_triggers = ON", "trusted_schema = OFF"):
        raw.execute(f"PRAGMA {pragma}")
    if read_only:
        raw.execute("PRAGMA query_only = ON")


def _postgresql(address: Address, read_only: bool) -> Engine:
    return postgresql.connected_engine(address.url, name=f"interlock {address.kind}", read_only=read_only)
