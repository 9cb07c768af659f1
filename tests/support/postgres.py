"""A real PostgreSQL server of our own: in a temporary folder, on a free port of the loopback, gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pg8000
from sqlalchemy.engine import make_url
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

PASSWORD = "correct-horse-battery"
_FAST = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=200",
    "shared_buffers=32MB",
)


_MEMORY = Path("/dev/shm")
_ROOM = 2 << 30
"""So much of it must be free. A database is 300 files: a disk takes a quarter of a second to make or remove it."""


@dataclass
class PostgresServer:
    """A running server; its superuser is `postgres`."""

    port: int
    folder: Path
    account: dict[str, Any]
    """As whom it runs."""
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = (
            *_FAST,
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self.folder}",
        )
        command = [_binary("postgres"), "-D", str(self.folder / "data"), *(f"-c{setting}" for setting in settings)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **self.account)
        _wait(self)

    def stop(self) -> None:
        """At once, without writing out anything: every connection breaks, and the next start recovers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
            self._process = None

    def url(self, database: str = "postgres") -> str:
        """SQLAlchemy URL of a database."""
        return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def new_database(self, prefix: str = "interlock", template: str = "template1") -> str:
        """Make a database that holds what `template` holds (nothing); returns its URL."""
        name = f"{prefix}_{next(self._numbers)}"
        self.execute(self.url(), f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.execute(self.url(), f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    def execute(self, url: str, *statements: str, parameters: tuple[Any, ...] = ()) -> None:
        """Run statements as the superuser, outside of any transaction."""
        connection = connect(url)
        connection.autocommit = True
        try:
            for statement in statements:
                connection.cursor().execute(statement, parameters)
        finally:
            connection.close()


def connect(url: str) -> Any:
    """A plain connection of the driver's."""
    at = make_url(url)
    # Without TLS, which a server without it is asked for otherwise, after the system's certificates were read.
    return pg8000.connect(at.username, at.host, at.database, at.port, at.password, timeout=30, ssl_context=False)


@contextmanager
def start_postgres() -> Iterator[PostgresServer]:
    """Start a server and stop it afterwards."""
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM
    folder = Path(tempfile.mkdtemp(prefix="interlock-postgres-", dir=_MEMORY if roomy else None))
    # PostgreSQL refuses to run as root; there the system's `postgres` account runs it.
    account: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if _root() else {}
    if account:
        shutil.chown(folder, "postgres", "postgres")
    try:
        _initialise(folder, account)
        server = PostgresServer(_free_port(), folder, account)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _initialise(folder: Path, account: dict[str, Any]) -> None:
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    options = ["--auth=scram-sha-256", f"--pwfile={secret}", "--username=postgres", "--encoding=UTF8", "--no-sync"]
    command = [_binary("initdb"), "-D", str(folder / "data"), *options, "--locale=C.UTF-8"]
    subprocess.run(command, check=True, capture_output=True, cwd=folder, **account)


def _root() -> bool:
    return os.geteuid() == 0


def _binary(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    if not path:
        raise FileNotFoundError(f"{name} is not installed: apt-get install postgresql")
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@retry(retry=retry_if_exception_type((pg8000.Error, OSError)), stop=stop_after_delay(30), wait=wait_fixed(0.05))
def _wait(server: PostgresServer) -> None:
    connect(server.url()).close()
