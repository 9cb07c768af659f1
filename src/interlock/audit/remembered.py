"""What executors had in force: policy bundles, and the signed releases of them. Rows are only ever added."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, insert, select

from interlock.audit.codec import iso, now
from interlock.audit.tables import remembered
from interlock.types.names import Digest

BUNDLE: Final = "bundle"
RELEASE: Final = "release"
_WIDTH: Final = 16
"""Digits of a serial number, so that texts sort as the numbers do."""


@dataclass(frozen=True, slots=True)
class KnownBundle:
    """A policy bundle that an executor had in force."""

    digest: Digest
    first_at: datetime
    """When an executor loaded it first."""


def has_bundle(connection: Connection, digest: Digest) -> bool:
    """Whether an executor ever had this bundle in force."""
    return _has(connection, BUNDLE, digest)


def add_bundle(connection: Connection, digest: Digest) -> None:
    """Note a bundle; again changes nothing."""
    _add(connection, BUNDLE, digest)


def list_bundles(connection: Connection) -> list[KnownBundle]:
    """All bundles, by when one was first in force."""
    found = select(remembered.c.digest, remembered.c.remembered_at).where(remembered.c.kind == BUNDLE)
    rows = connection.execute(found.order_by(remembered.c.remembered_at, remembered.c.digest))
    return [KnownBundle(row.digest, datetime.fromisoformat(row.remembered_at)) for row in rows]


def newest_release(connection: Connection) -> tuple[int, Digest] | None:
    """Serial number and bundle of the newest signed release."""
    found = connection.execute(select(func.max(remembered.c.digest)).where(remembered.c.kind == RELEASE)).scalar()
    if found is None:
        return None
    serial, _, bundle = found.partition(" ")
    return int(serial), bundle


def add_release(connection: Connection, serial: int, bundle: Digest) -> None:
    """Note a signed release; again changes nothing."""
    _add(connection, RELEASE, f"{serial:0{_WIDTH}} {bundle}")


def _has(connection: Connection, kind: str, digest: str) -> bool:
    query = select(remembered.c.digest).where(remembered.c.kind == kind, remembered.c.digest == digest)
    return connection.execute(query).first() is not None


def _add(connection: Connection, kind: str, digest: str) -> None:
    if not _has(connection, kind, digest):
        connection.execute(insert(remembered), {"kind": kind, "digest": digest, "remembered_at": iso(now())})
