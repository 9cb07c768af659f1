"""Where a store is: a database URL that is checked before use, and that never shows its password."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from interlock.database import postgresql
from interlock.errors import InvalidInput, LedgerUnavailable

StoreKind = Literal["ledger", "blobs", "accounts", "notifications"]

SETTING: Final[dict[StoreKind, str]] = {
    "ledger": "INTERLOCK_LEDGER_URL",
    "blobs": "INTERLOCK_BLOBS_URL",
    "accounts": "INTERLOCK_ACCOUNTS_URL",
    "notifications": "INTERLOCK_ACCOUNTS_URL",
}
_DIALECTS: Final = {
    "sqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+pg8000",
    "postgres": "postgresql+pg8000",
}


@dataclass(frozen=True, slots=True)
class Address:
    """One store's database."""

    kind: StoreKind
    url: URL

    @classmethod
    def read(cls, kind: StoreKind, text: str) -> Address:
        """Check `text`, a SQLAlchemy URL.

        Raises:
            InvalidInput: not a URL, another database than SQLite or PostgreSQL, one in memory, or a part of the
                URL is missing or means nothing.
        """
        wanted = f"set {SETTING[kind]} to sqlite:////folder/{kind}.db or postgresql://user:password@host/database"
        try:
            url = make_url(text)
        except (ArgumentError, ValueError) as error:
            raise InvalidInput(f"{SETTING[kind]}: not a database URL", next_step=wanted) from error
        base, _, driver = url.drivername.partition("+")
        if base not in _DIALECTS:
            raise InvalidInput(f"{SETTING[kind]}: {base!r} is not supported", next_step=wanted)
        if driver and driver != _DIALECTS[base].partition("+")[2]:
            raise InvalidInput(f"{SETTING[kind]}: driver {driver!r} is not used", next_step=wanted)
        if base == "sqlite" and (
            not url.database or ":memory:" in url.database or url.database.startswith("file:")
        ):
            raise InvalidInput(f"{SETTING[kind]}: name a file; memory is lost with the process", next_step=wanted)
        if base != "sqlite":
            if missing := [part for part in ("username", "host", "database") if not getattr(url, part)]:
                raise InvalidInput(f"{SETTING[kind]}: the URL has no {missing[0]}", next_step=wanted)
            postgresql.check_options(url, SETTING[kind])
        return cls(kind, url.set(drivername=_DIALECTS[base]))

    @property
    def sqlite(self) -> bool:
        """Whether this is a SQLite file."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return Path(self.url.database or "")

    def __str__(self) -> str:
        """For people: where it is; no password, no options."""
        return self.url.set(password=None, query={}).render_as_string()

    def redact(self, text: str) -> str:
        """`text` without this URL's password, should a driver have quoted it."""
        secrets = [str(self.url.password or ""), *map(str, self.url.query.values())]
        for secret in filter(None, secrets):
            text = text.replace(secret, "***")
        return text

    def prepare(self, *, read_only: bool) -> None:
        """Make the SQLite file, readable by its owner alone; SQLite gives its side files the same mode.

        Raises:
            LedgerUnavailable: it cannot be made, or is not there and `read_only`.
        """
        if not self.sqlite or self.path.exists():
            return
        if read_only:
            raise LedgerUnavailable(
                f"there is no {self.kind} at {self.path}",
                next_step=f"start `interlock dev`, which makes it, or correct {SETTING[self.kind]}",
            )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise LedgerUnavailable(
                f"the {self.kind} {self.path} cannot be made: {error.strerror}", next_step=self.next_step("")
            ) from error

    def next_step(self, cause: str) -> str:
        """What to do when the database says `cause`."""
        setting = SETTING[self.kind]
        if "malformed" in cause or "not a database" in cause:
            return "the file is damaged: restore it from a backup"
        if "full" in cause or "No space" in cause:
            return "free space on its disk"
        if "authentication" in cause or "password" in cause:
            return f"correct user and password in {setting}"
        if "SSL" in cause or "certificate" in cause:
            return f"check sslmode and sslrootcert in {setting}, and the server's certificate"
        if "locked" in cause or "lock timeout" in cause:
            return "another process holds it for too long: find and stop that one, then try again"
        if self.sqlite:
            return f"let this user write to {self.path} and its folder, or correct {setting}"
        return f"start PostgreSQL at {self.url.host or 'localhost'}:{self.url.port or 5432}, or correct {setting}"
