"""Where a candidate decided otherwise than the policy in force: a SQLite file of its own in the state folder.

It is no evidence and binds nobody: it may be deleted at any time. Several executors write to it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from interlock.errors import LedgerUnavailable
from interlock.run.differences import Difference
from interlock.run.grouping import Place
from interlock.types.closed import Closed

MOST: Final = 100_000
"""Of differences, so many are kept; older ones make room."""

_BUSY_S: Final = 5
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS difference (
    id INTEGER PRIMARY KEY,
    candidate TEXT NOT NULL,
    run TEXT NOT NULL,
    seq INTEGER NOT NULL,
    time TEXT NOT NULL,
    place TEXT NOT NULL,
    difference TEXT NOT NULL,
    UNIQUE (candidate, run, seq)
);
CREATE TABLE IF NOT EXISTS watched (
    candidate TEXT PRIMARY KEY,
    folder TEXT NOT NULL,
    decisions INTEGER NOT NULL,
    undecided INTEGER NOT NULL,
    problem TEXT NOT NULL,
    first TEXT NOT NULL,
    last TEXT NOT NULL
);
"""
_ADD: Final = (
    "INSERT OR IGNORE INTO difference (candidate, run, seq, time, place, difference) VALUES (?, ?, ?, ?, ?, ?)"
)
_OF_ONE: Final = (
    "SELECT candidate, run, seq, time, place, difference FROM difference WHERE candidate = ? ORDER BY id"
)
_TRIM: Final = "DELETE FROM difference WHERE id <= (SELECT max(id) FROM difference) - ?"
_COUNT: Final = """
INSERT INTO watched VALUES (:candidate, :folder, :decisions, :undecided, :problem, :first, :last)
ON CONFLICT (candidate) DO UPDATE SET
    folder = excluded.folder, decisions = decisions + excluded.decisions,
    undecided = undecided + excluded.undecided,
    problem = CASE excluded.problem WHEN '' THEN problem ELSE excluded.problem END, last = excluded.last
"""


class Seen(Closed):
    """A decision about which the candidate differs."""

    candidate: str
    run: str
    seq: int
    time: str
    place: Place
    difference: Difference


class Watched(Closed):
    """How much a candidate was asked."""

    candidate: str
    """Digest of its bundle; empty: its files did not load."""
    folder: str
    decisions: int
    """How many decisions it made beside the policy in force."""
    undecided: int = 0
    """How many it could not make."""
    problem: str = ""
    """Why the last of these could not be made, or why its files do not load."""
    first: str
    last: str


class ShadowStore:
    """The file. Safe to use from threads."""

    def __init__(self, path: Path) -> None:
        """Open it; make it where there is none.

        Raises:
            LedgerUnavailable: it cannot be made or is no such file.
        """
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False)
            self._connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {_TABLES}")
        except (OSError, sqlite3.Error) as error:
            raise LedgerUnavailable(
                f"the shadow's record {path} cannot be used: {error}", next_step=f"delete {path.name}"
            ) from error

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._connection.close()

    def add(self, seen: Iterable[Seen], watched: Iterable[Watched]) -> None:
        """Keep differences, and count. All of it or nothing.

        Raises:
            sqlite3.Error: the file cannot be written.
        """
        rows = [
            (s.candidate, s.run, s.seq, s.time, s.place.model_dump_json(), s.difference.model_dump_json())
            for s in seen
        ]
        with self._lock, self._connection:
            self._connection.executemany(_ADD, rows)
            self._connection.executemany(_COUNT, [one.model_dump() for one in watched])
            if rows:
                self._connection.execute(_TRIM, (MOST,))

    def watched(self) -> list[Watched]:
        """Every candidate, the one that was asked last first."""
        with self._lock, closing(self._connection.cursor()) as cursor:
            rows = cursor.execute("SELECT * FROM watched ORDER BY last DESC").fetchall()
            names = [column[0] for column in cursor.description]
        return [Watched.model_validate(dict(zip(names, row, strict=True))) for row in rows]

    def seen(self, candidate: str) -> list[Seen]:
        """A candidate's differences, oldest first."""
        query = (
            "SELECT candidate, run, seq, time, place, difference FROM difference WHERE candidate = ? ORDER BY id"
        )
        with self._lock, closing(self._connection.cursor()) as cursor:
            rows = cursor.execute(query, (candidate,)).fetchall()
        return [
            Seen(
                candidate=row[0],
                run=row[1],
                seq=row[2],
                time=row[3],
                place=Place.model_validate_json(row[4]),
                difference=Difference.model_validate_json(row[5]),
            )
            for row in rows
        ]
