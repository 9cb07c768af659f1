"""A bundle that was to be signed and is not, or is another, or an older one, never comes into force."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest

from interlock.audit import Ledger
from interlock.errors import InvalidInput, PolicyError, Unreachable
from interlock.policy import PolicySource, load_bundle, source
from interlock.policy.signature import (
    MAX_SERIAL,
    SIGNATURE,
    SignedOnly,
    next_serial,
    sign_bundle,
    signed_only,
    write_statement,
)
from interlock.settings import Settings
from interlock.signing import ALL_ROLES, ROLES, Signer, create_keys, load_signer, load_verifier

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def always_look(monkeypatch):
    monkeypatch.setattr(source, "CHECK_EVERY_S", 0)
    monkeypatch.setattr(source, "SETTLE_S", 0)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    create_keys(tmp_path / "keys", ALL_ROLES)
    return tmp_path / "keys"


@pytest.fixture
def signer(keys: Path) -> Signer:
    return load_signer(keys, "policy")


@pytest.fixture
def demanded(keys: Path, tmp_path: Path) -> SignedOnly:
    return SignedOnly(load_verifier(keys, "policy"), Ledger(f"sqlite:///{tmp_path}/ledger.db"))


def sign(folder: Path, signer: Signer, serial: int = 1, digest: str = "") -> str:
    statement = sign_bundle(
        digest or load_bundle(folder).digest, signer, serial=serial, user="user:carol", time=NOW
    )
    write_statement(folder, statement)
    return statement


def test_signed_bundle_is_in_force(write, rule, signer, demanded):
    folder = write(rules=rule())
    unsigned = load_bundle(folder).digest
    sign(folder, signer)
    followed = PolicySource(folder, signed=demanded)
    assert followed.current().digest == unsigned, "the signature is no part of what it signs"
    assert followed.state.release.signer == "user:carol"
    assert str(followed.state).endswith("1 rules, release 1 by user:carol")


def test_unsigned_start_fails_closed(write, rule, demanded):
    with pytest.raises(PolicyError, match=r"not signed: policy\.signature is missing \(interlock policy sign\)"):
        PolicySource(write(rules=rule()), signed=demanded)


def test_unsigned_change_keeps_the_old(write, rule, signer, demanded):
    folder = write(rules=rule())
    sign(folder, signer)
    kept: list[str] = []
    followed = PolicySource(folder, [lambda bundle: kept.append(bundle.digest)], signed=demanded)
    before = followed.current()
    write(rules=rule(effect="deny"))
    assert followed.current() is before
    assert "is for bundle" in followed.problem
    (folder / SIGNATURE).unlink()
    assert followed.current() is before
    assert "is missing" in followed.problem
    assert kept == [before.digest], "what is not in force is not kept as if it had been"
    sign(folder, signer, 2)
    assert followed.current().rules[0].rule.effect == "deny"
    assert followed.problem == ""


def test_removed_signature_is_a_problem(write, rule, signer, demanded):
    folder = write(rules=rule())
    sign(folder, signer)
    followed = PolicySource(folder, signed=demanded)
    before = followed.current()
    (folder / SIGNATURE).unlink()
    assert followed.current() is before
    assert "is missing" in followed.problem


def test_half_copied_set_is_refused(write, rule, signer, demanded):
    folder = write(rules=rule(), guard="rules:\n  - {id: g, effect: deny, owner: t, tool: 'a'}\n")
    sign(folder, signer)
    followed = PolicySource(folder, signed=demanded)
    before = followed.current()
    write(rules=rule(effect="deny"), guard="rules: []\n")
    new = folder.with_name("new") / "permissions"
    shutil.copytree(folder, new)
    sign(new, signer, 2)
    write(rules=rule(), guard="rules: []\n")
    shutil.copy(new / SIGNATURE, folder / SIGNATURE)
    assert followed.current() is before
    assert "is for bundle" in followed.problem
    shutil.copy(new / "rules.yaml", folder / "rules.yaml")
    assert followed.current().digest == load_bundle(new).digest


@pytest.mark.parametrize("role", [role for role in ALL_ROLES if role != "policy"])
def test_key_of_another_role_signs_no_policy(write, rule, keys, demanded, role):
    folder = write(rules=rule())
    sign(folder, load_signer(keys, role))
    with pytest.raises(PolicyError, match="not signed by the policy's key"):
        PolicySource(folder, signed=demanded)


def test_role_name_alone_signs_no_policy(write, rule, keys, demanded):
    folder = write(rules=rule())
    sign(folder, Signer("policy", load_signer(keys, "api").private_key))
    with pytest.raises(PolicyError, match="Signature verification failed"):
        PolicySource(folder, signed=demanded)


def test_statement_of_another_kind_is_refused(write, rule, signer, demanded):
    folder = write(rules=rule())
    claims = {"bundle": load_bundle(folder).digest, "serial": 1, "signer": "user:carol", "signed_at": str(NOW)}
    write_statement(folder, signer.sign("interlock-checkpoint", claims))
    with pytest.raises(PolicyError, match="not signed by the policy's key"):
        PolicySource(folder, signed=demanded)
    write_statement(folder, signer.sign("interlock-policy", claims))
    assert PolicySource(folder, signed=demanded).current()


@pytest.mark.parametrize(
    "change",
    [
        {"serial": 0},
        {"serial": -1},
        {"serial": "2"},
        {"serial": True},
        {"serial": 1.0},
        {"serial": MAX_SERIAL + 1},
        {"bundle": ""},
        {"signer": "role:lead"},
        {"signer": "user:carol\n"},
        {"signed_at": "2026-01-01T00:00:00"},
        {"exp": 1},
        {"note": "x"},
    ],
)
def test_malformed_release_is_refused(write, rule, signer, demanded, change):
    folder = write(rules=rule())
    claims = {"bundle": load_bundle(folder).digest, "serial": 1, "signer": "user:carol", "signed_at": str(NOW)}
    write_statement(folder, signer.sign("interlock-policy", {**claims, **change}))
    with pytest.raises(PolicyError, match="not signed by the policy's key"):
        PolicySource(folder, signed=demanded)


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_other_algorithm_is_refused(write, rule, keys, demanded, algorithm):
    folder = write(rules=rule())
    claims = {
        "bundle": load_bundle(folder).digest,
        "serial": 1,
        "signer": "user:carol",
        "signed_at": str(NOW),
        "iss": "policy",
    }
    secret = None if algorithm == "none" else "the public key is no secret, so it may not be a key either"
    forged = jwt.encode(claims, secret, algorithm, headers={"typ": "interlock-policy"})
    write_statement(folder, forged)
    with pytest.raises(PolicyError, match="not signed by the policy's key"):
        PolicySource(folder, signed=demanded)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"a.b.c", b"x" * 20_000, b"..", b"\n\n\x00"])
def test_garbage_is_no_signature(write, rule, demanded, data):
    folder = write(rules=rule())
    (folder / SIGNATURE).write_bytes(data)
    with pytest.raises(PolicyError, match=r"policy\.signature"):
        PolicySource(folder, signed=demanded)


def test_folder_in_its_place_is_no_signature(write, rule, demanded):
    folder = write(rules=rule())
    (folder / SIGNATURE).mkdir()
    with pytest.raises(PolicyError, match="cannot be read"):
        PolicySource(folder, signed=demanded)


def test_older_release_is_not_put_back(write, rule, signer, demanded):
    folder = write(rules=rule())
    sign(folder, signer, 1)
    old = folder.with_name("old")
    shutil.copytree(folder, old)
    followed = PolicySource(folder, signed=demanded)
    write(rules=rule(effect="deny"))
    sign(folder, signer, 2)
    newest = followed.current()
    assert newest.rules[0].rule.effect == "deny"
    shutil.copytree(old, folder, dirs_exist_ok=True)
    assert followed.current() is newest
    assert "is release 1; release 2 was in force already (to go back" in followed.problem
    again = SignedOnly(demanded.verifier, demanded.releases)
    with pytest.raises(PolicyError, match="release 2 was in force already"):
        PolicySource(folder, signed=again)
    sign(folder, signer, 3)
    assert followed.current().rules[0].rule.effect == "allow"
    assert PolicySource(folder, signed=again).state.release.serial == 3


def test_serial_is_used_for_one_bundle(write, rule, signer, demanded):
    folder = write(rules=rule())
    sign(folder, signer, 4)
    followed = PolicySource(folder, signed=demanded)
    write(rules=rule(effect="deny"))
    sign(folder, signer, 4)
    before = followed.current()
    assert before.rules[0].rule.effect == "allow"
    assert "--serial 5" in followed.problem


def test_same_release_starts_again(write, rule, signer, demanded):
    folder = write(rules=rule())
    sign(folder, signer, 9)
    for _ in range(2):
        assert (
            PolicySource(folder, signed=SignedOnly(demanded.verifier, demanded.releases)).state.release.serial == 9
        )


def test_release_that_cannot_be_remembered_is_not_in_force(write, rule, signer, demanded, tmp_path):
    folder = write(rules=rule())
    sign(folder, signer, 1)
    followed = PolicySource(folder, signed=demanded)
    before = followed.current()
    with sqlite3.connect(tmp_path / "ledger.db", isolation_level=None) as connection:
        connection.execute("DROP TABLE remembered")
    write(rules=rule(effect="deny"))
    sign(folder, signer, 2)
    assert followed.current() is before
    assert followed.problem
    with pytest.raises(Exception, match="remembered"):
        PolicySource(folder, signed=SignedOnly(demanded.verifier, demanded.releases))


def test_ledger_knows_the_newest_of_many_releases(tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    assert ledger.newest_release() is None
    digests = {serial: f"sha256:{serial:064x}" for serial in (9, 10, 2, MAX_SERIAL, 100)}
    for _ in range(2):
        for serial, digest in digests.items():
            ledger.remember_release(serial, digest)
    assert ledger.newest_release() == (MAX_SERIAL, digests[MAX_SERIAL])
    assert ledger.bundles() == []
    ledger.remember_bundle(digests[9])
    ledger.remember_bundle(digests[2])
    ledger.remember_bundle(digests[9])
    assert [known.digest for known in ledger.bundles()] == [digests[9], digests[2]]


def test_public_key_alone_demands_signatures(keys, tmp_path):
    own = Settings(root=tmp_path, keys=keys)
    assert isinstance(signed_only(own), SignedOnly)
    for name in ("policy.key", "policy.pub"):
        (keys / name).unlink()
    assert signed_only(own) is None


def test_removed_public_key_does_not_unlock(keys, tmp_path):
    (keys / "policy.pub").unlink()
    with pytest.raises(Unreachable, match="only a signed policy may be in force"):
        signed_only(Settings(root=tmp_path, keys=keys, policy_signed=True))
    (keys / "policy.pub").symlink_to("nowhere")
    with pytest.raises(Unreachable):
        signed_only(Settings(root=tmp_path, keys=keys))
    (keys / "policy.pub").unlink()
    (keys / "policy.pub").write_text("no key")
    with pytest.raises(InvalidInput, match="not a public key"):
        signed_only(Settings(root=tmp_path, keys=keys))


def test_worker_needs_no_private_key(write, rule, signer, keys, tmp_path):
    folder = write(rules=rule())
    sign(folder, signer)
    for path in keys.glob("*.key"):
        path.unlink()
    demanded = signed_only(Settings(root=tmp_path, keys=keys))
    assert PolicySource(folder, signed=demanded).current().rules


def test_key_of_the_policy_is_not_made_unasked(tmp_path):
    create_keys(tmp_path / "keys")
    assert sorted(path.stem for path in (tmp_path / "keys").glob("*.pub")) == sorted(ROLES)
    assert "policy" not in ROLES


def test_next_serial_believes_only_its_own_key(write, rule, signer, keys):
    folder = write(rules=rule())
    assert next_serial(folder, signer) == 1
    sign(folder, signer, 6)
    assert next_serial(folder, signer) == 7
    sign(folder, Signer("policy", load_signer(keys, "api").private_key), MAX_SERIAL)
    assert next_serial(folder, signer) == 1
    (folder / SIGNATURE).write_bytes(b"\xff")
    assert next_serial(folder, signer) == 1
