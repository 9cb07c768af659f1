"""Signed statements: only the right key, role and kind pass; private keys stay private."""

from __future__ import annotations

from pathlib import Path

import jwt
import pytest

from interlock.errors import InvalidInput, TokenRejected, Unreachable
from interlock.signing import create_keys, load_signer, load_verifier


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    create_keys(tmp_path / "keys")
    return tmp_path / "keys"


def test_statement_of_role_verifies(keys: Path) -> None:
    token = load_signer(keys, "api").sign("note", {"sub": "user:alice"})
    assert load_verifier(keys, "api").verify("note", token)["sub"] == "user:alice"


def test_other_roles_key_is_rejected(keys: Path) -> None:
    token = load_signer(keys, "executor").sign("note", {})
    with pytest.raises(TokenRejected):
        load_verifier(keys, "api").verify("note", token)


def test_other_kind_of_statement_is_rejected(keys: Path) -> None:
    token = load_signer(keys, "api").sign("note", {})
    with pytest.raises(TokenRejected, match="note"):
        load_verifier(keys, "api").verify("receipt", token)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_altered_statement_is_rejected(keys: Path, place: int) -> None:
    parts = load_signer(keys, "api").sign("note", {"sub": "user:alice"}).split(".")
    middle = len(parts[place]) // 2
    parts[place] = (
        parts[place][:middle] + ("A" if parts[place][middle] != "A" else "B") + parts[place][middle + 1 :]
    )
    with pytest.raises(TokenRejected):
        load_verifier(keys, "api").verify("note", ".".join(parts))


def test_unsigned_and_symmetric_statements_are_rejected(keys: Path) -> None:
    verifier = load_verifier(keys, "api")
    unsigned = jwt.encode({"iss": "api"}, "", algorithm="none", headers={"typ": "note"})
    symmetric = jwt.encode({"iss": "api"}, "k" * 40, algorithm="HS256", headers={"typ": "note"})
    for token in (unsigned, symmetric, "", "a.b.c", "x"):
        with pytest.raises(TokenRejected):
            verifier.verify("note", token)


def test_keys_are_made_once_and_private(keys: Path) -> None:
    before = {path.name: path.read_bytes() for path in keys.iterdir()}
    assert create_keys(keys) == []
    assert {path.name: path.read_bytes() for path in keys.iterdir()} == before
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in keys.glob("*.key"))


def test_readable_private_key_is_refused(keys: Path) -> None:
    (keys / "api.key").chmod(0o644)
    with pytest.raises(InvalidInput, match="chmod 600"):
        load_signer(keys, "api")


def test_missing_key_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="interlock dev"):
        load_verifier(tmp_path, "api")
