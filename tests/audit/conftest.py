"""Both databases, real ones: each test runs on SQLite and on PostgreSQL. And an attacker who can write to them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url
from support.postgres import PostgresServer, connect, start_postgres

from interlock.audit import Ledger, SqlBlobs
from interlock.signing import Signer, Verifier, create_keys, load_signer, load_verifier


@dataclass
class Database:
    """The two stores of one test, each made when it is first asked for, and an attacker's connections to them."""

    kind: str
    make: Callable[[str], str]
    """Makes one of the stores, "ledger" or "blobs"; returns its URL."""
    drop: Callable[[str], None] = lambda url: None
    """Removes one."""
    _connections: dict[tuple[str, bool], Any] = field(default_factory=dict)

    @cached_property
    def ledger_url(self) -> str:
        return self.make("ledger")

    @cached_property
    def blobs_url(self) -> str:
        return self.make("blobs")

    def execute(self, statement: str, *parameters: Any, blobs: bool = False) -> list[tuple[Any, ...]]:
        """Run one statement as any client with credentials may; `?` stands for a parameter."""
        return self._run(statement, parameters, blobs, unguarded=False)

    def attack(self, statement: str, *parameters: Any, blobs: bool = False) -> list[tuple[Any, ...]]:
        """Run one statement as the database's owner, with triggers and constraints out of the way."""
        return self._run(statement, parameters, blobs, unguarded=True)

    def close(self) -> None:
        """End the connections, and the stores that were made."""
        for connection in self._connections.values():
            connection.close()
        for url in (self.__dict__.get("ledger_url"), self.__dict__.get("blobs_url")):
            if url is not None:
                self.drop(url)

    def _run(self, statement: str, parameters: tuple[Any, ...], blobs: bool, *, unguarded: bool) -> Any:
        url = self.blobs_url if blobs else self.ledger_url
        if self.kind == "sqlite":
            return _on_sqlite(url, statement, parameters, unguarded)
        if (url, unguarded) not in self._connections:
            self._connections[url, unguarded] = _postgres_client(url, unguarded)
        return _on_postgres(self._connections[url, unguarded], statement, parameters)


def _on_sqlite(url: str, statement: str, parameters: tuple[Any, ...], unguarded: bool) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=10, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers if unguarded else []:
            connection.execute(f"DROP TRIGGER {name}")
        rows = connection.execute(statement, parameters).fetchall()
        for _, sql in triggers if unguarded else []:
            connection.execute(sql)
        connection.execute("COMMIT")
        return rows
    finally:
        connection.close()


def _postgres_client(url: str, unguarded: bool) -> Any:
    connection = connect(url)
    connection.autocommit = True
    if unguarded:
        cursor = connection.cursor()
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("ALTER TABLE IF EXISTS blobs DROP CONSTRAINT IF EXISTS blobs_digest")
    return connection


def _on_postgres(connection: Any, statement: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    cursor = connection.cursor()
    cursor.execute(statement.replace("?", "%s"), parameters)
    return [tuple(row) for row in cursor.fetchall()] if cursor.description else []


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with start_postgres() as server:
        yield server


NO_TLS = "?sslmode=disable"
"""A connection that may have TLS reads the system's certificates first, which takes longer than most tests."""
KINDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
STORES: dict[str, Callable[[str], Any]] = {"ledger": Ledger, "blobs": SqlBlobs}


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[str, str], str]:
    """The URL of a store as its first opener leaves it, by kind of database and of store: copied, not migrated."""
    folder = tmp_path_factory.mktemp("migrated")

    @cache
    def url_of(kind: str, store: str) -> str:
        url = f"sqlite:///{folder / store}.db"
        if kind == "postgres":
            server: PostgresServer = request.getfixturevalue("postgres")
            url = server.new_database(f"migrated_{store}")
        STORES[store](url).close()
        return url

    return url_of


def _empty(kind: str, folder: Path, request: pytest.FixtureRequest) -> Database:
    if kind == "sqlite":
        return Database(kind, lambda store: f"sqlite:///{folder / store}.db")
    server: PostgresServer = request.getfixturevalue("postgres")
    return Database(kind, server.new_database, server.drop)


def _copied(kind: str, folder: Path, request: pytest.FixtureRequest) -> Database:
    migrated: Callable[[str, str], str] = request.getfixturevalue("migrated")
    if kind == "sqlite":

        def copy(store: str) -> str:
            shutil.copy(migrated(kind, store).removeprefix("sqlite:///"), folder / f"{store}.db")
            return f"sqlite:///{folder / store}.db"

        return Database(kind, copy)
    server: PostgresServer = request.getfixturevalue("postgres")
    return Database(
        kind, lambda store: server.new_database(store, _name(migrated(kind, store))) + NO_TLS, server.drop
    )


def _name(url: str) -> str:
    return make_url(url).database or ""


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Both stores with their tables and no rows."""
    with closing(_copied(request.param, tmp_path, request)) as found:
        yield found


@pytest.fixture(params=KINDS)
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Both stores before anybody opened them."""
    with closing(_empty(request.param, tmp_path, request)) as found:
        yield found


@pytest.fixture(params=KINDS, scope="module")
def shared_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One for a whole module whose tests leave it as they found it."""
    with closing(_copied(request.param, tmp_path_factory.mktemp("shared"), request)) as found:
        yield found


@pytest.fixture
def ledger(database: Database) -> Iterator[Ledger]:
    opened = Ledger(database.ledger_url)
    yield opened
    opened.close()


@pytest.fixture
def blobs(database: Database) -> Iterator[SqlBlobs]:
    opened = SqlBlobs(database.blobs_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    create_keys(folder)
    return folder


@pytest.fixture(scope="session")
def signer(keys: Path) -> Signer:
    return load_signer(keys, "ledger")


@pytest.fixture(scope="session")
def verifier(keys: Path) -> Verifier:
    return load_verifier(keys, "ledger")
