"""The checkpoints: what the ledger's key signed is still a prefix of the stored chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt

from interlock.audit.checkpoint import verify_checkpoint
from interlock.audit.queries import RunRecord
from interlock.audit.rows import Finding
from interlock.errors import TokenRejected
from interlock.signing import Verifier


def check_checkpoints(run: str, record: RunRecord, verifier: Verifier | None, findings: list[Finding]) -> None:
    """Check every checkpoint of a run; with a verifier also its signature, and that an ended run has one."""
    hashes = {row["seq"] + 1: row["hash"] for row in record.events}
    for row in record.checkpoints:
        claims = _claims(row, verifier, findings)
        if claims is None:
            continue
        for field, value in (("run", run), ("count", row["count"]), ("head", row["head"])):
            if claims.get(field) != value:
                _add(findings, field, f"the row says {value!r}, what was signed says {claims.get(field)!r}")
        count = claims.get("count")
        if not isinstance(count, int) or count not in hashes:
            _add(
                findings,
                "count",
                f"{count!r} events were signed, the ledger has {len(hashes)}: events were dropped",
            )
        elif hashes[count] != claims.get("head"):
            _add(findings, "head", f"event {count - 1} has another hash than was signed: events were altered")
    if verifier and _ended(record) and not any(row["count"] == len(hashes) for row in record.checkpoints):
        _add(findings, "count", f"the run ended with {len(hashes)} events and no checkpoint covers them")


def _ended(record: RunRecord) -> bool:
    return bool(record.events) and record.events[-1]["kind"] in ("run.ended", "run.erased")


def _claims(row: Mapping[str, Any], verifier: Verifier | None, findings: list[Finding]) -> dict[str, Any] | None:
    try:
        if verifier:
            verify_checkpoint(row["statement"], verifier)
        claims: dict[str, Any] = jwt.decode(row["statement"], options={"verify_signature": False})
    except (TokenRejected, jwt.PyJWTError) as error:
        _add(
            findings, "statement", f"the checkpoint over {row['count']} events is not signed by the ledger: {error}"
        )
        return None
    return claims


def _add(findings: list[Finding], field: str, message: str) -> None:
    findings.append(Finding(-1, "checkpoint", field, message))
