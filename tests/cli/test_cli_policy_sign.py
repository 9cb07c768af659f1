"""A policy is released by its key, and `policy status` tells which one is in force where."""

from __future__ import annotations

import json

import pytest

from interlock.audit import Ledger
from interlock.policy import PolicySource, load_bundle, source
from interlock.policy.reports import reporter


@pytest.fixture(autouse=True)
def always_look(monkeypatch):
    monkeypatch.setattr(source, "CHECK_EVERY_S", 0)
    monkeypatch.setattr(source, "SETTLE_S", 0)


def test_sign_without_key_says_how_to_make_it(interlock):
    told = interlock("policy", "sign", "--as", "user:carol")
    assert told.code == 3
    assert "interlock keys create --role policy" in told.err


def test_sign_counts_its_releases(interlock, project):
    assert interlock("keys", "create", "--role", "policy").code == 0
    first = interlock("policy", "sign", "--as", "user:carol", "--json").json
    assert (first["serial"], first["bundle"]) == (1, load_bundle(project / "permissions").digest)
    assert interlock("policy", "sign", "--as", "user:carol").out.startswith("signed sha256:")
    assert interlock("policy", "sign", "--as", "user:dave", "--serial", "7", "--json").json["serial"] == 7
    assert interlock("policy", "sign", "--as", "user:dave", "--json").json["serial"] == 8
    assert interlock("policy", "check", "--json").json["ok"], "the signature is no foreign file"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ((), "--as"),
        (("--as", "carol"), "--as"),
        (("--as", "role:lead"), "--as"),
        (("--as", "user:carol", "--serial", "-1"), "--serial"),
        (("--as", "user:carol", "--serial", str(2**53)), "--serial"),
    ],
)
def test_wrong_use_names_the_option(interlock, options, named):
    interlock("keys", "create", "--role", "policy")
    told = interlock("policy", "sign", *options)
    assert told.code == 2
    assert named in told.err


def test_wrong_files_are_not_signed(interlock, project):
    interlock("keys", "create", "--role", "policy")
    (project / "permissions" / "more.yaml").write_text("rules: [")
    assert interlock("policy", "sign", "--as", "user:carol").code == 2
    assert not (project / "permissions" / "policy.signature").exists()


def test_status_without_anything_running(interlock, project):
    told = interlock("policy", "status")
    assert told.code == 0
    digest = load_bundle(project / "permissions").digest
    assert f"files      {digest}" in told.out
    assert "signature  not demanded" in told.out
    assert "none on this machine reports" in told.out
    found = interlock("policy", "status", "--json").json
    assert (found["ok"], found["workers"], found["known"]) == (True, [], [])
    assert "ledger" in found["record"]


def test_status_names_who_runs_what(interlock, project, recorded):
    folder, state = project / "permissions", project / ".interlock"
    ledger = Ledger(f"sqlite:///{state}/ledger.db")
    followed = PolicySource(
        folder,
        [lambda bundle: ledger.remember_bundle(bundle.digest)],
        on_state=[reporter(state / "policy", "executor")],
    )
    told = interlock("policy", "status")
    assert told.code == 0
    assert "executor   the same since" in told.out
    assert f"in force   {followed.current().digest} first at" in told.out
    (folder / "more.yaml").write_text("rules: [")
    followed.reload()
    told = interlock("policy", "status")
    assert told.code == 1
    assert "problem    the policy in" in told.out
    assert "refuses the files" in told.out
    found = interlock("policy", "status", "--json").json
    assert found["workers"][0]["bundle"] == found["known"][0]["bundle"] == followed.current().digest
    ledger.close()


def test_status_tells_the_signature(interlock, project, recorded):
    interlock("keys", "create", "--role", "policy")
    told = interlock("policy", "status")
    assert (told.code, "signature  refused" in told.out, "interlock policy sign" in told.out) == (1, True, True)
    signed = interlock("policy", "sign", "--as", "user:carol", "--json").json
    told = interlock("policy", "status")
    assert told.code == 0
    assert "signature  good, release 1 by user:carol at " in told.out
    ledger = Ledger(f"sqlite:///{project}/.interlock/ledger.db")
    ledger.remember_release(5, signed["bundle"])
    ledger.close()
    found = interlock("policy", "status", "--json")
    assert (found.code, found.json["files"]["signature"]) == (1, "refused")
    assert "release 5 was in force already" in json.dumps(found.json)
