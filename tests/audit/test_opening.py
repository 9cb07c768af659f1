"""Opening a store: one schema, made once by whoever is first, and a clear word where it cannot be used."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from support.postgres import PASSWORD, PostgresServer

from interlock.audit import Ledger, SqlBlobs, migrate, tables
from interlock.database import Store
from interlock.errors import Conflict, InvalidInput, LedgerUnavailable, Refused

OPEN = "import sys; from interlock.audit import Ledger; Ledger(sys.argv[1]).close()"
MAPPED = {"ledger": tables.ledger, "blobs": tables.blob_store}


@pytest.mark.parametrize("kind", ["ledger", "blobs"])
def test_migrations_make_the_mapped_tables(empty_database: Any, kind: Any) -> None:
    url = empty_database.ledger_url if kind == "ledger" else empty_database.blobs_url
    (Ledger(url) if kind == "ledger" else SqlBlobs(url)).close()
    store = Store(kind, url)
    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": migrate.version_table(kind)})
        differences = compare_metadata(context, MAPPED[kind])
    store.close()
    assert differences == []


@pytest.mark.parametrize("kind", ["ledger", "blobs"])
def test_last_migration_is_the_known_one(kind: Any) -> None:
    config = Config()
    config.set_main_option("path_separator", "newline")
    config.set_main_option("script_location", str(migrate.FOLDER))
    config.set_main_option("version_locations", str(migrate.FOLDER / kind))
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.LAST[kind]]


def test_racing_processes_migrate_once(empty_database: Any) -> None:
    openers = [subprocess.Popen([sys.executable, "-c", OPEN, empty_database.ledger_url]) for _ in range(4)]
    assert [opener.wait(120) for opener in openers] == [0, 0, 0, 0]
    assert empty_database.execute("SELECT version_num FROM interlock_ledger_version") == [(migrate.LAST["ledger"],)]


def test_both_stores_share_a_database(empty_database: Any) -> None:
    ledger, blobs = Ledger(empty_database.ledger_url), SqlBlobs(empty_database.ledger_url)
    assert (ledger.runs(), blobs.get(blobs.put(b"x"))) == ([], b"x")
    ledger.close()
    blobs.close()


def test_newer_schema_is_refused(database: Any, ledger: Ledger) -> None:
    database.attack("UPDATE interlock_ledger_version SET version_num = ?", "ledger_9999")
    with pytest.raises(LedgerUnavailable, match="ledger_9999"):
        Ledger(database.ledger_url)


def test_reader_brings_no_schema_up_to_date(database: Any, ledger: Ledger) -> None:
    database.attack("DELETE FROM interlock_ledger_version")
    with pytest.raises(LedgerUnavailable, match="lacks the tables"):
        Ledger(database.ledger_url, read_only=True)


def test_reader_makes_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="there is no ledger"):
        Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_reader_may_not_write(database: Any, ledger: Ledger) -> None:
    """Also not past our own check: the connection itself is read-only."""
    store = Store("ledger", database.ledger_url, read_only=True)
    with pytest.raises(Refused), store.write():
        pass
    with pytest.raises(LedgerUnavailable), store.read() as connection:
        connection.execute(tables.remembered.insert(), {"kind": "bundle", "digest": "d", "remembered_at": "now"})
    store.close()
    assert not ledger.knows_bundle("d")


def test_sqlite_is_durable_and_strict(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'ledger.db'}"
    Ledger(url).close()
    store = Store("ledger", url)
    with store.read() as connection:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]
    assert values == ["wal", 1, 1, 10_000]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()} == {0o600}
    store.close()


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory", "postgresql+psycopg://h/d"],
)
def test_unfit_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="INTERLOCK_LEDGER_URL"):
        Ledger(url)


def test_damaged_file_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"this was a database once" * 100)
    with pytest.raises(LedgerUnavailable, match="restore it from a backup"):
        Ledger(f"sqlite:///{path}")


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder that this process may read and not write: as root it takes another user's eyes."""
    folder = Path(tempfile.mkdtemp(prefix="interlock-read-only-"))
    Ledger(f"sqlite:///{folder / 'ledger.db'}").close()
    (folder / "ledger.db").chmod(0o444)
    folder.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(user)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_read_only_folder_is_unavailable(unprivileged: Path) -> None:
    for name in ("ledger.db", "other.db"):
        with pytest.raises(LedgerUnavailable, match=r"let this user write|there is no") as refused:
            Ledger(f"sqlite:///{unprivileged / name}").alarm("run-1", "log.lost", "x")
        assert str(unprivileged) in refused.value.reason


@pytest.mark.postgres
def test_wrong_password_is_not_shown(postgres: PostgresServer) -> None:
    with pytest.raises(LedgerUnavailable, match="correct user and password") as refused:
        Ledger(postgres.url().replace(PASSWORD, "secret-of-mine"))
    assert "secret-of-mine" not in str(refused.value)


@pytest.mark.postgres
def test_lost_connections_are_replaced(postgres: PostgresServer) -> None:
    url = postgres.new_database("lost")
    ledger = Ledger(url)
    row = {"kind": "bundle", "digest": "d", "remembered_at": "now"}

    def write_and_lose() -> None:
        with ledger._store.write() as connection:
            ours = "application_name = 'interlock ledger' AND datname = current_database()"
            postgres.execute(url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}")
            connection.execute(tables.remembered.insert(), row)

    with pytest.raises(LedgerUnavailable, match="start PostgreSQL"):
        write_and_lose()
    assert not ledger.knows_bundle("d")
    ledger.close()


@pytest.fixture
def impostor() -> Iterator[int]:
    """A server that agrees to TLS and then speaks none."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"S")
                connection.recv(10_000)  # unread, it would reset the connection instead of ending it

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_failed_handshake_is_unavailable(impostor: int) -> None:
    with pytest.raises(LedgerUnavailable, match="sslrootcert"):
        Ledger(f"postgresql://someone:secret@127.0.0.1:{impostor}/d?sslmode=verify-full")


def test_broken_reference_is_a_conflict(database: Any, ledger: Ledger) -> None:
    """Foreign keys hold on both databases."""
    store = ledger._store
    row = {"call_id": "run-1:c1", "attempt": 1, "executor": "e", "attempted_at": "now"}
    with pytest.raises(Conflict), store.write() as connection:
        connection.execute(tables.attempts.insert(), row)
