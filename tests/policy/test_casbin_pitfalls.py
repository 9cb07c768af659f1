"""Where Casbin by itself fails open, and the policy must not: refused at load, or decided safely.

Each test that can shows both: what a stock enforcer answers, and what ours does. What raises or wavers there is in
test_casbin_wavers.py.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import casbin
import pytest
from casbin.persist.adapters.filtered_file_adapter import Filter, FilteredFileAdapter
from casbin.util.builtin_operators import key_match, key_match2, regex_match
from support.plain_casbin import ALLOW, ALLOW_AND_DENY, model, plain

from interlock.digest import canonical, parse
from interlock.errors import IntegrityError, PolicyError
from interlock.policy import Bundle, building, decide
from interlock.policy.enforcer import MODEL, PYCASBIN


def test_empty_request_on_empty_policy_is_denied(load, request_of):
    assert plain([]).enforce("", "", "") is True
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
    lines = ["p, alice, o, x, allow", f"p, r{length}, o, x, deny", "g, alice, r1"]
    lines += [f"g, r{n}, r{n + 1}" for n in range(1, length)]
    stock = plain(lines, "g(r.sub, p.sub) && r.obj == p.obj")
    assert stock.enforce("alice", "o", "x") is (length >= 10), "Casbin stops after ten links and so skips the deny"
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
    assert plain(["p, a, o, x, allow", "p, a, o, x, Deny"]).enforce("a", "o", "x") is True
    text = rule(effect=effect if effect.strip() != "deny" else "'deny '")
    assert any("'effect' must be" in problem for problem in refused(rules=text))


@pytest.mark.parametrize("row", ["P", "p2", "g", "p ", "policy"])
def test_unknown_row_type_is_refused(refused, row):
    assert plain(["p, a, o, x, allow", "P, a, o, x, deny"]).enforce("a", "o", "x") is True
    problems = refused(rules=f"'{row}':\n  - [a, o, x, deny]\n")
    assert any(f"unknown key '{row}'" in problem for problem in problems)


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
    if text in REWRITTEN:
        stock = plain(["p, a, *, x, deny"], f'r.obj == "{text}"', "!some(where (p.eft == deny))")
        assert stock.enforce("a", text, "x") is True, "Casbin rewrites the text, and the deny never fires"
    quoted = "'" + text.replace("'", "''") + "'"
    bundle = load(
        "rules:\n"
        "  - {id: grant, effect: allow, owner: t, agent: 'agent:fixer', tool: '**'}\n"
        f"  - {{id: guard, effect: deny, owner: t, note: {quoted}, when: [{{argument: path, eq: {quoted}}}]}}\n"
    )
    assert decide(bundle, request_of(arguments={"path": text})).rule == "guard"
    assert decide(bundle, request_of(arguments={"path": text + "x"})).rule == "grant"


REWRITTEN = ("!important", "a && b", "a || b", "r.evil.com", "p.eft")


def test_condition_cannot_close_its_parenthesis(refused, load, rule, request_of):
    spliced = "True) or (True"
    stock = plain(["p, bob, o, x, allow"], f"r.sub == p.sub && ({spliced})")
    assert stock.enforce("eve", "o", "x") is True
    assert refused(rules=rule(when=f"[{{argument: path, is: '{spliced}'}}]"))
    assert refused(rules=rule(when=f"'{spliced}'"))
    bundle = load(rule(when=f"[{{argument: path, eq: '{spliced}'}}]"))
    assert decide(bundle, request_of(arguments={"path": "o"})).verdict == "deny"


def test_second_effect_in_a_stored_model_is_refused(load):
    effects = ALLOW + "\ne2 = !some(where (p.eft == deny))"
    stock = plain(["p, a, o, x, allow", "p, a, o, x, deny"], effect=effects)
    assert stock.enforce("a", "o", "x") is True
    stored = parse(load().to_bytes())
    stored["model"] = MODEL.replace("|| deny\n", "|| deny\ne2 = !some(where (p.eft == deny))\n")
    assert stored["model"] != MODEL
    with pytest.raises(PolicyError, match="another Casbin model"):
        Bundle.from_bytes(canonical(stored))
    assert MODEL.count("\ne = ") == 1


@pytest.mark.parametrize("value", ["True", "1 == 1", "__import__('os').system('id')", "r.request", "eval(1)"])
def test_argument_values_are_never_evaluated(load, rule, request_of, value):
    bundle = load(rule(when="[{argument: path, eq: source}]"))
    assert decide(bundle, request_of(arguments={"path": value})).verdict == "deny"


@pytest.mark.parametrize(
    "pattern", ["db.*d", "d*", "*b.read", "tool.x*.read", "a.**.b", "db.d?", "db.[a-z]", "db.{a,b}"]
)
def test_partial_wildcard_is_refused(refused, rule, pattern):
    assert any("tool" in problem and "pattern" in problem for problem in refused(rules=rule(tool=f"'{pattern}'")))


def test_nothing_after_a_wildcard_is_dropped(load, rule, request_of):
    assert key_match("tool.x.delete", "tool.*.read") is True
    bundle = load(rule(tool="'tool.*.read'"))
    assert decide(bundle, request_of(tool="tool.x.delete")).verdict == "deny"
    assert decide(bundle, request_of(tool="tool.x.read")).verdict == "allow"
    assert decide(bundle, request_of(tool="tool.x.y.read")).verdict == "deny"
    assert key_match("workspace:source/secret", "workspace:*/public") is True
    bundle = load(rule(tool="edit_file", resource="'workspace:*/public'"))
    assert decide(bundle, request_of(resource="workspace:source/secret")).verdict == "deny"
    assert decide(bundle, request_of(resource="workspace:source/public")).verdict == "allow"


def test_dot_in_pattern_matches_only_a_dot(load, rule, request_of):
    assert key_match2("dbXread", "db.read") is True
    bundle = load(rule(tool="db.read"))
    assert decide(bundle, request_of(tool="db_read")).verdict == "deny"


def test_pattern_must_match_the_whole_text(load, rule, request_of):
    assert regex_match("/etc/passwd.stolen", "/etc/passwd") is True
    bundle = load(rule(when="[{argument: path, matches: 'etc/passwd'}]"))
    for path in ("etc/passwd.stolen", "xetc/passwd", "etc/passwd\n", "\netc/passwd", "x\netc/passwd\nx"):
        assert decide(bundle, request_of(arguments={"path": path})).verdict == "deny"
    bundle = load(rule(when="[{argument: path, matches: '(?m)^etc/passwd$'}]"))
    assert decide(bundle, request_of(arguments={"path": "x\netc/passwd"})).verdict == "deny"
    assert decide(bundle, request_of(arguments={"path": "etc/passwd"})).verdict == "allow"


@pytest.mark.parametrize("pattern", ["(a)\\1", "a(?=b)", "(?<!a)b", "(", "a{1001}", "(?P=x)"])
def test_pattern_that_needs_backtracking_is_refused(refused, rule, pattern):
    assert any(
        "RE2" in problem for problem in refused(rules=rule(when=f"[{{argument: path, matches: '{pattern}'}}]"))
    )


def test_pattern_that_backtracks_elsewhere_is_linear(load, rule, request_of):
    bundle = load(rule(when="[{argument: path, matches: '(a+)+b'}]"))
    assert decide(bundle, request_of(arguments={"path": "a" * 200_000})).verdict == "deny"


def test_wildcard_tenant_deny_holds_in_every_tenant(load, request_of, tmp_path):
    text = model("r.sub == p.sub && (p.obj == '*' || r.obj == p.obj)")
    (tmp_path / "policy.csv").write_text("p, a, other, x, allow\np, a, *, x, deny\n")
    stock = casbin.Enforcer(casbin.Enforcer.new_model(text=text), FilteredFileAdapter(str(tmp_path / "policy.csv")))
    of_tenant = Filter()
    of_tenant.P, of_tenant.G = ["", "other"], []
    stock.load_filtered_policy(of_tenant)
    assert stock.enforce("a", "other", "x") is True, "the row for every tenant was filtered away"
    bundle = load(
        "rules:\n"
        "  - {id: grant, effect: allow, owner: t, agent: 'agent:fixer', tool: '**', tenant: other}\n"
        "  - {id: guard, effect: deny, owner: t, tenant: '*', when: [{argument: path, eq: bad}]}\n"
    )
    request = request_of(tenant="other", requester="user:carol", arguments={"path": "bad"})
    assert decide(bundle, request).rule == "guard"


FAST = """
import sys
from casbin import FastEnforcer
fast = FastEnforcer(sys.argv[1], sys.argv[2], cache_key_order=[0, 1])
fast.model["p"]["p"].policy.apply_filter("a", "o")
print(fast.enforce_ex("a", "o", "x")[1])
"""


def stored_policy(folder: Path, effect: str, lines: list[str]) -> tuple[str, str]:
    """Files of a model that knows `*`, and of a policy."""
    folder.mkdir()
    text = model("r.sub == p.sub && (p.obj == '*' || r.obj == p.obj)", effect)
    (folder / "model.conf").write_text(text)
    (folder / "policy.csv").write_text("\n".join(lines))
    return str(folder / "model.conf"), str(folder / "policy.csv")


def test_partition_never_loses_a_wildcard_rule(load, request_of, tmp_path: Path):
    lines = ["p, a, o, x, allow", "p, a, *, x, deny"]
    files = stored_policy(tmp_path / "stock", ALLOW_AND_DENY, lines)
    assert casbin.Enforcer(*files).enforce("a", "o", "x") is False
    assert casbin.FastEnforcer(*files, cache_key_order=[0, 1]).enforce("a", "o", "x") is True
    for wild in (
        "tool: '**'",
        "tool: '*'",
        "agent: 'agent:*'",
        "tenant: '*'",
        "resource: '*'",
        "requester: 'user:*'",
    ):
        bundle = load(
            "rules:\n"
            "  - {id: grant, effect: allow, owner: t, agent: 'agent:fixer', tool: edit_file, tenant: acme}\n"
            f"  - {{id: guard, effect: deny, owner: t, {wild}}}\n"
        )
        assert decide(bundle, request_of()).rule == "guard"


def test_deciding_row_of_fast_enforcer_wavers(tmp_path: Path):
    """Why its index is not ours: the row that decides is the first of a set."""
    files = stored_policy(tmp_path / "stock", ALLOW, [f"p, a, o, x{n}, allow" for n in range(12)])
    command = [sys.executable, "-c", FAST, *files]
    rows = {
        subprocess.run(command, env={"PYTHONHASHSEED": str(n)}, capture_output=True, text=True, check=True).stdout
        for n in range(6)
    }
    assert len(rows) > 1


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


@pytest.mark.parametrize("version", ["2.7.0", "2.8.1", "3.0.0"])
def test_other_version_of_casbin_refuses_to_start(load, tmp_path: Path, version):
    stored = tmp_path / "bundle"
    stored.write_bytes(load().to_bytes())
    info = tmp_path / "site" / f"pycasbin-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pycasbin\nVersion: {version}\n")
    code = (
        "import sys, pathlib; from interlock.policy import Bundle\n"
        "Bundle.from_bytes(pathlib.Path(sys.argv[1]).read_bytes())"
    )
    command = [sys.executable, "-c", code, str(stored)]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(tmp_path / "site")}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert f"pycasbin is {version}, this engine needs {PYCASBIN}" in done.stderr


def test_dependency_is_pinned_to_that_version():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    named = [line for line in project["dependencies"] if "casbin" in line.lower()]
    assert named == [f"pycasbin=={PYCASBIN}"]


def test_disagreement_with_casbin_allows_nothing(load, rule, request_of, monkeypatch):
    bundle = load(rule(effect="deny"))
    row = bundle.pdp.rows[0]
    for answer in ((True, row), (True, []), (False, [])):
        monkeypatch.setattr(casbin.Enforcer, "enforce_ex", lambda self, view, answer=answer: answer)
        with pytest.raises(IntegrityError):
            decide(bundle, request_of())


def test_casbins_own_path_gives_the_same_answers(load, request_of, monkeypatch):
    texts = (
        "  - {id: a, effect: allow, owner: t, agent: 'agent:fixer', tool: '*'}\n"
        "  - {id: d, effect: deny, owner: t, tool: t1}\n"
        "  - {id: k, effect: ask, owner: t, agent: 'agent:*', tool: t2, route: leads}\n"
    )
    bundle: Bundle = load("rules:\n" + texts)
    monkeypatch.setattr(building, "quick", None)
    building.agrees.cache_clear()
    stock = Bundle.from_bytes(bundle.to_bytes())
    building.agrees.cache_clear()
    for number in range(4):
        request = request_of(tool=f"t{number}", agent="agent:fixer" if number else "agent:x")
        assert decide(stock, request) == decide(bundle, request)
