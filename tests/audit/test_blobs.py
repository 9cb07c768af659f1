"""The blob store against a hostile graph worker, which may write to it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pg8000
import pytest

from interlock.audit import SqlBlobs
from interlock.digest import digest_bytes
from interlock.errors import IntegrityError
from interlock.types import Blobs


def test_bytes_come_back(blobs: SqlBlobs) -> None:
    port: Blobs = blobs
    for data in (b"", b"\x00\xff", b"x" * 2_000_000):
        assert port.get(port.put(data)) == data


def test_racing_puts_keep_one_copy(database: Any, blobs: SqlBlobs) -> None:
    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(blobs.put, [b"same"] * 32))
    assert digests == {digest_bytes(b"same")}
    assert database.execute("SELECT count(*) FROM blobs", blobs=True) == [(1,)]


@pytest.mark.parametrize("name", ["", "sha256:zz", "'; DROP TABLE blobs; --", "sha256:" + "a" * 64 + "\x00"])
def test_no_digest_has_no_blob(blobs: SqlBlobs, name: str) -> None:
    assert not blobs.has(name)
    with pytest.raises(IntegrityError, match="not a digest"):
        blobs.get(name)


def test_planted_bytes_are_refused_or_mended(database: Any, blobs: SqlBlobs) -> None:
    """PostgreSQL refuses bytes that belie their digest; on SQLite the true ones replace them."""
    plant = ("INSERT INTO blobs (digest, data) VALUES (?, ?)", digest_bytes(b"true"), b"planted")
    if database.kind == "sqlite":
        database.execute(*plant, blobs=True)
    else:
        with pytest.raises(pg8000.Error, match="blobs_digest"):
            database.execute(*plant, blobs=True)
    assert blobs.get(blobs.put(b"true")) == b"true"
