"""Both databases, real ones: each test runs on SQLite and on PostgreSQL. And an attacker who can write to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.postgres import PostgresServer, connect, start_postgres

from interlock.audit import Ledger, SqlBlobs
from interlock.signing import Signer, Verifier, create_keys, load_signer, load_verifier


@dataclass
class Database:
    """The two stores of one test."""

    kind: str
    ledger_url: str
    blobs_url: str

    def execute(self, statement: str, *parameters: Any, blobs: bool = False) -> list[tuple[Any, ...]]:
        """Run one statement as any client with credentials may; `?` stands for a parameter."""
        return self._run(statement, parameters, blobs, unguarded=False)

    def attack(self, statement: str, *parameters: Any, blobs: bool = False) -> list[tuple[Any, ...]]:
        """Run one statement as the database's owner, with triggers and constraints out of the way."""
        return self._run(statement, parameters, blobs, unguarded=True)

    def _run(self, statement: str, parameters: tuple[Any, ...], blobs: bool, *, unguarded: bool) -> Any:
        url = self.blobs_url if blobs else self.ledger_url
        run = _on_sqlite if self.kind == "sqlite" else _on_postgres
        return run(url, statement, parameters, unguarded)


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


def _on_postgres(url: str, statement: str, parameters: tuple[Any, ...], unguarded: bool) -> list[tuple[Any, ...]]:
    connection = connect(url)
    try:
        cursor = connection.cursor()
        if unguarded:
            cursor.execute("SET session_replication_role = replica")
            cursor.execute("ALTER TABLE IF EXISTS blobs DROP CONSTRAINT IF EXISTS blobs_digest")
        cursor.execute(statement.replace("?", "%s"), parameters)
        rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        connection.commit()
        return rows
    finally:
        connection.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with start_postgres() as server:
        yield server


KINDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


def open_database(kind: str, folder: Path, request: pytest.FixtureRequest) -> Database:
    if kind == "sqlite":
        return Database(kind, f"sqlite:///{folder / 'ledger.db'}", f"sqlite:///{folder / 'blobs.db'}")
    server: PostgresServer = request.getfixturevalue("postgres")
    return Database(kind, server.new_database("ledger"), server.new_database("blobs"))


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    return open_database(request.param, tmp_path, request)


@pytest.fixture(params=KINDS, scope="module")
def shared_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """One for a whole module whose tests leave it as they found it."""
    return open_database(request.param, tmp_path_factory.mktemp("shared"), request)


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
