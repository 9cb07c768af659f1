"""What Casbin does by itself and the policy must not inherit: refused at load, or decided safely."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import casbin
import pytest

from interlock.errors import IntegrityError
from interlock.policy import Bundle, decide
from interlock.policy.enforcer import MODEL


def test_empty_request_on_empty_policy_is_denied(load, request_of):
    bundle = load("rules: []\n")
    request = request_of().model_copy(update={"tool": "", "action": "", "resource": "", "agent": "", "tenant": ""})
    assert decide(bundle, request).verdict == "deny"
    assert decide(bundle, request_of()).verdict == "deny"
    pdp = bundle.pdp
    assert not any(
        f(None, "") for f in (pdp.covers_call, pdp.covers_subject, pdp.covers_resource, pdp.conditions_hold)
    )


@pytest.mark.parametrize("length", [1, 9, 10, 11, 50, 400])
def test_deny_reaches_through_long_role_chain(load, request_of, length):
    roles = "roles:\n  - {name: r0, members: [user:alice]}\n"
    roles += "".join(f"  - {{name: r{n}, members: [role:r{n - 1}]}}\n" for n in range(1, length))
    bundle = load(
        "rules:\n"
        "  - {id: grant, effect: allow, owner: t, agent: 'agent:fixer', tool: '**'}\n"
        f"  - {{id: guard, effect: deny, owner: t, requester: 'role:r{length - 1}'}}\n",
        roles=roles,
    )
    assert decide(bundle, request_of()).rule == "guard"
    assert decide(bundle, request_of(requester="user:bob")).rule == "grant"


def test_diamond_of_roles_is_no_cycle(load, request_of):
    roles = (
        "roles:\n  - {name: a, members: user:alice}\n  - {name: b, members: role:a}\n"
        "  - {name: c, members: role:a}\n  - {name: d, members: [role:b, role:c]}\n"
    )
    rule = "rules:\n  - {id: g, effect: allow, owner: t, agent: 'agent:*', requester: 'role:d', tool: '**'}\n"
    assert decide(load(rule, roles=roles), request_of()).verdict == "allow"


@pytest.mark.parametrize("effect", ["Deny", "DENY", "deny ", "'deny,'", "p", "2"])
def test_mistyped_effect_is_refused(refused, rule, effect):
    text = rule(effect=effect if effect.strip() != "deny" else "'deny '")
    assert any("'effect' must be" in problem for problem in refused(rules=text))


@pytest.mark.parametrize("key", ["effect2", "e2", "ptype", "v0", "eft"])
def test_second_effect_or_column_is_refused(refused, rule, key):
    assert any(f"unknown key '{key}'" in problem for problem in refused(rules=rule(**{key: "deny"})))


@pytest.mark.parametrize(
    "text",
    [
        "!important",
        "a && b",
        "a || b",
        "r.evil.com",
        "p.eft",
        "x') or ('a'=='a",
        '" or True or "',
        "eval(p.id)",
        "a, b",
        "#x",
    ],
)
def test_text_in_literals_stays_text(load, request_of, text):
    quoted = "'" + text.replace("'", "''") + "'"
    bundle = load(
        "rules:\n"
        "  - {id: grant, effect: allow, owner: t, agent: 'agent:fixer', tool: '**'}\n"
        f"  - {{id: guard, effect: deny, owner: t, note: {quoted}, when: [{{argument: path, eq: {quoted}}}]}}\n"
    )
    assert decide(bundle, request_of(arguments={"path": text})).rule == "guard"
    assert decide(bundle, request_of(arguments={"path": text + "x"})).rule == "grant"


@pytest.mark.parametrize("value", ["True", "1 == 1", "__import__('os').system('id')", "r.request", "eval(1)"])
def test_argument_values_are_never_evaluated(load, rule, request_of, value):
    bundle = load(rule(when="[{argument: path, eq: source}]"))
    assert decide(bundle, request_of(arguments={"path": value})).verdict == "deny"


@pytest.mark.parametrize("value", [True, False, "1", None, [1], {"a": 1}])
def test_mistyped_number_never_allows(load, rule, request_of, value):
    for operator in ("lt: 5", "le: 5", "gt: -5", "ge: -5", "eq: 1", "ne: 7", "in: [1, 0]", "not_in: [7]"):
        bundle = load(rule(when=f"[{{argument: path, {operator}}}]"))
        decision = decide(bundle, request_of(arguments={"path": value}))
        assert decision.verdict == "deny"
        assert decision.condition_errors


def test_argument_named_items_is_data(load, rule, request_of):
    bundle = load(rule(when="[{argument: items, eq: own}]"))
    assert decide(bundle, request_of(arguments={"items": "own"})).verdict == "allow"
    assert decide(bundle, request_of(arguments={"path": "own"})).verdict == "deny"


def test_dot_in_pattern_matches_only_a_dot(load, rule, request_of):
    bundle = load(rule(tool="db.read"))
    assert decide(bundle, request_of(tool="db_read")).verdict == "deny"


def test_pattern_that_backtracks_elsewhere_is_linear(load, rule, request_of):
    bundle = load(rule(when="[{argument: path, matches: '(a+)+b'}]"))
    assert decide(bundle, request_of(arguments={"path": "a" * 200_000})).verdict == "deny"


def test_wildcard_tenant_deny_holds_in_every_tenant(load, request_of):
    bundle = load(
        "rules:\n"
        "  - {id: grant, effect: allow, owner: t, agent: 'agent:fixer', tool: '**', tenant: other}\n"
        "  - {id: guard, effect: deny, owner: t, tenant: '*', when: [{argument: path, eq: bad}]}\n"
    )
    request = request_of(tenant="other", requester="user:carol", arguments={"path": "bad"})
    assert decide(bundle, request).rule == "guard"


def test_large_argument_is_not_turned_into_text(load, rule, request_of, monkeypatch):
    bundle = load(rule(when="[{argument: path, length_le: 3000000}]"))
    enforcer = bundle.pdp._enforcer
    seen: list[str] = []
    monkeypatch.setattr(enforcer.logger, "isEnabledFor", lambda level: True)
    monkeypatch.setattr(enforcer.logger, "info", seen.append)
    assert decide(bundle, request_of(arguments={"path": "x" * 2_000_000})).verdict == "allow"
    assert len(seen) == 1
    assert len(seen[0]) < 300


def test_concurrent_decisions_agree(load, request_of):
    texts = "".join(
        f"  - {{id: r{n}, effect: {('deny', 'allow')[n % 2]}, owner: t, agent: 'agent:fixer', tool: t{n}}}\n"
        for n in range(20)
    )
    bundles = [load("rules:\n" + texts), load("rules:\n" + texts.replace("owner: t", "owner: u"))]
    start = threading.Barrier(8)

    def work(worker: int) -> set[tuple[int, str, str]]:
        start.wait()
        found = set()
        for turn in range(150):
            number = (worker * 7 + turn) % 20
            decision = decide(bundles[turn % 2], request_of(tool=f"t{number}"))
            found.add((number, decision.verdict, decision.rule))
        return found

    with ThreadPoolExecutor(8) as pool:
        answers = set().union(*pool.map(work, range(8)))
    assert answers == {(n, ("deny", "allow")[n % 2], f"r{n}") for n in range(20)}


def test_decision_does_not_depend_on_hash_seed(load, tmp_path: Path):
    texts = "".join(
        f"  - {{id: r{n}, effect: {('ask', 'allow')[n % 2]}, owner: t, agent: 'agent:*', tool: '**'"
        + (", route: leads}\n" if n % 2 == 0 else "}\n")
        for n in range(9)
    )
    bundle = load("rules:\n" + texts)
    stored = tmp_path / "bundle"
    stored.write_bytes(bundle.to_bytes())
    code = (
        "import sys, json; from pathlib import Path; from interlock.policy import Bundle, decide, load_bundle\n"
        "from interlock.types import AccessRequest\n"
        "b = Bundle.from_bytes(Path(sys.argv[1]).read_bytes()); again = load_bundle(Path(sys.argv[2]))\n"
        "r = AccessRequest(tenant='acme', agent='agent:a', requester='user:alice', tool='t', action='x',"
        " resource='', arguments={}, run='r', workflow='', time='2026-01-01T00:00:00Z')\n"
        "print(again.digest, decide(b, r).model_dump_json())"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code, str(stored), str(tmp_path / "permissions")],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(answers) == 1
    assert bundle.digest in answers.pop()


def test_two_casbins_refuse_to_start(load, tmp_path: Path):
    stored = tmp_path / "bundle"
    stored.write_bytes(load().to_bytes())
    site = tmp_path / "site"
    info = site / "casbin-1.43.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: casbin\nVersion: 1.43.0\n")
    code = (
        "import sys, pathlib; from interlock.policy import Bundle\n"
        "Bundle.from_bytes(pathlib.Path(sys.argv[1]).read_bytes())"
    )

    def start(path: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, str(stored)]
        return subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True, check=False)

    assert start("").returncode == 0
    beside = start(str(site))
    assert beside.returncode != 0
    assert "'casbin' is installed beside 'pycasbin'" in beside.stderr
    assert "pip uninstall -y casbin pycasbin" in beside.stderr


def test_disagreement_with_casbin_allows_nothing(load, rule, request_of, monkeypatch):
    bundle = load(rule(effect="deny"))
    row = bundle.pdp.rows[0]
    for answer in ((True, row), (True, []), (False, [])):
        monkeypatch.setattr(bundle.pdp._enforcer, "enforce_ex", lambda view, answer=answer: answer)
        with pytest.raises(IntegrityError):
            decide(bundle, request_of())


def test_casbins_own_path_gives_the_same_answers(load, request_of):
    texts = (
        "  - {id: a, effect: allow, owner: t, agent: 'agent:fixer', tool: '*'}\n"
        "  - {id: d, effect: deny, owner: t, tool: t1}\n"
        "  - {id: k, effect: ask, owner: t, agent: 'agent:*', tool: t2, route: leads}\n"
    )
    bundle: Bundle = load("rules:\n" + texts)
    kept = bundle.pdp._enforcer
    plain = casbin.Enforcer(casbin.Enforcer.new_model(text=MODEL), kept.adapter)
    for name in ("covers_call", "covers_subject", "covers_resource", "conditions_hold"):
        plain.add_function(name, getattr(bundle.pdp, name))
    for number in range(4):
        request = request_of(tool=f"t{number}", agent="agent:fixer" if number else "agent:x")
        before = decide(bundle, request)
        bundle.pdp._enforcer = plain
        assert decide(bundle, request) == before
        bundle.pdp._enforcer = kept
    assert kept.__dict__["_kept_expressions"], "the kept matcher was used"
