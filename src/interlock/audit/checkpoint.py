"""Checkpoints: the ledger's signed word on how far a run's chain reached."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select

from interlock.audit.codec import iso, now
from interlock.audit.rows import Checkpoint, Head
from interlock.audit.tables import checkpoints
from interlock.errors import TokenRejected
from interlock.signing import Signer, Verifier

TYP: Final = "interlock-checkpoint"


def verify_checkpoint(statement: str, verifier: Verifier) -> Checkpoint:
    """What `statement` says, if the ledger's key signed it.

    Raises:
        TokenRejected: the signature, kind or shape does not hold.
    """
    claims = verifier.verify(TYP, statement)
    try:
        run, count, head = claims["run"], claims["count"], claims["head"]
        time = datetime.fromisoformat(claims["time"])
    except (KeyError, TypeError, ValueError) as error:
        raise TokenRejected(f"{TYP}: {error!r} is missing or malformed") from error
    if not (isinstance(run, str) and isinstance(count, int) and isinstance(head, str)):
        raise TokenRejected(f"{TYP}: run, count or head is of a wrong type")
    return Checkpoint(run, count, head, time, statement)


def sign(run: str, head: Head, signer: Signer) -> Checkpoint:
    """A new statement about `head`."""
    time = now()
    claims = {"run": run, "count": head.count, "head": head.hash, "time": iso(time)}
    return Checkpoint(run, head.count, head.hash, time, signer.sign(TYP, claims))


def store(connection: Connection, checkpoint: Checkpoint) -> None:
    """Keep a checkpoint."""
    row = {
        "run": checkpoint.run,
        "count": checkpoint.count,
        "head": checkpoint.head,
        "time": iso(checkpoint.time),
        "statement": checkpoint.statement,
    }
    connection.execute(insert(checkpoints), row)


def read(connection: Connection, run: str) -> list[Checkpoint]:
    """The run's checkpoints, oldest first. Their signatures are not checked here."""
    query = select(checkpoints).where(checkpoints.c.run == run).order_by(checkpoints.c.count)
    return [_row(row) for row in connection.execute(query)]


def _row(row: Any) -> Checkpoint:
    return Checkpoint(row.run, row.count, row.head, datetime.fromisoformat(row.time), row.statement)
