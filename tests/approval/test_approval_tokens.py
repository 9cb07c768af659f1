"""Statements of people: signed by the API for one person, one run, one purpose, and for a time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from interlock.approval import ApprovalClaims, ControlClaims, lifetime
from interlock.errors import TokenRejected
from interlock.signing import Signer

from .conftest import NOW


def test_signed_statement_reads_back(keys, claim) -> None:
    claims = claim(message="fine")
    assert ApprovalClaims.read(keys.verifier, claims.signed(keys.api), now=NOW) == claims


def test_expired_statement_is_rejected(keys, claim) -> None:
    token = claim().signed(keys.api)
    with pytest.raises(TokenRejected, match="expired at 2026-03-04T13:00:00"):
        ApprovalClaims.read(keys.verifier, token, now=NOW + timedelta(hours=1))


def test_historical_statement_ignores_expiry(keys, claim) -> None:
    token = claim().signed(keys.api)
    assert ApprovalClaims.read(keys.verifier, token, now=None).sub == "user:carol"


def test_other_roles_key_is_rejected(keys, claim) -> None:
    forged = claim().signed(Signer("api", keys.executor.private_key))
    with pytest.raises(TokenRejected, match="Signature verification failed"):
        ApprovalClaims.read(keys.verifier, forged, now=NOW)


def test_executors_statement_is_no_approval(keys, claim) -> None:
    with pytest.raises(TokenRejected):
        ApprovalClaims.read(keys.verifier, claim().signed(keys.executor), now=NOW)


def test_control_never_passes_as_approval(keys) -> None:
    control = ControlClaims(
        tenant="default", sub="user:carol", run="run-1", verb="pause", **lifetime(NOW, timedelta(hours=1))
    )
    with pytest.raises(TokenRejected, match="'interlock-control' statement was given"):
        ApprovalClaims.read(keys.verifier, control.signed(keys.api), now=NOW)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_one_changed_byte_is_rejected(keys, claim, part: int) -> None:
    pieces = claim().signed(keys.api).split(".")
    middle = len(pieces[part]) // 2
    swapped = "A" if pieces[part][middle] != "A" else "B"
    pieces[part] = pieces[part][:middle] + swapped + pieces[part][middle + 1 :]
    with pytest.raises(TokenRejected):
        ApprovalClaims.read(keys.verifier, ".".join(pieces), now=NOW)


def test_unsigned_statement_is_rejected(keys, claim) -> None:
    import jwt

    claims = {**claim().model_dump(mode="json"), "iss": "api"}
    unsigned = jwt.encode(claims, "", "none", headers={"typ": ApprovalClaims.TYP})
    with pytest.raises(TokenRejected):
        ApprovalClaims.read(keys.verifier, unsigned, now=NOW)


def test_unknown_field_is_rejected(keys, claim) -> None:
    token = keys.api.sign(ApprovalClaims.TYP, {**claim().model_dump(mode="json"), "also": "user:dave"})
    with pytest.raises(TokenRejected, match="also"):
        ApprovalClaims.read(keys.verifier, token, now=NOW)


def test_nonces_never_repeat(claim) -> None:
    assert len({claim().jti for _ in range(1000)}) == 1000


def test_overlong_message_is_refused(claim) -> None:
    with pytest.raises(ValueError, match="at most 20000"):
        claim(message="x" * 20_001)
