"""Properties over random policies and requests, against a plain reading of docs/policy.md."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.errors import PolicyError
from interlock.policy import Bundle, decide, load_bundle
from interlock.policy.content import Content
from interlock.policy.entries import read_entry
from interlock.types import AccessRequest

USERS = {"alice": ("acme",), "bob": ("acme", "other"), "carol": ("other",)}
GROUPS = {"group:devs": {"alice", "bob"}, "role:lead": {"alice", "bob", "carol"}}
TOOLS = ("a", "a.b", "a.c", "a.b.c")
ROUTES = {"one": (1, 3600), "fast": (1, 60), "two": (2, 3600)}

rule = st.fixed_dictionaries(
    {
        "effect": st.sampled_from(["allow", "ask", "deny"]),
        "agent": st.sampled_from(["agent:x", "agent:y", "agent:*", None]),
        "requester": st.sampled_from(["user:alice", "group:devs", "role:lead", "user:*", None]),
        "tenant": st.sampled_from(["acme", "other", "*"]),
        "tool": st.sampled_from(["a", "a.b", "a.*", "a.**", "*", "**", None]),
        "action": st.sampled_from(["read", "*"]),
        "when": st.sampled_from([None, ("lt", 5), ("eq", "t")]),
        "route": st.sampled_from(sorted(ROUTES)),
    }
)
request = st.builds(
    lambda **values: AccessRequest(
        resource="", run="r", workflow="", time=datetime(2026, 1, 1, tzinfo=UTC), **values
    ),
    tenant=st.sampled_from(["acme", "other", "third"]),
    agent=st.sampled_from(["agent:x", "agent:y"]),
    requester=st.sampled_from([*(f"user:{name}" for name in USERS), "user:eve"]),
    tool=st.sampled_from(TOOLS),
    action=st.sampled_from(["read", "write"]),
    arguments=st.sampled_from([{}, {"n": 1}, {"n": 9}, {"n": "t"}, {"n": True}, {"n": None}]),
)


def bundle_of(rules: list[dict[str, Any]]) -> Bundle:
    content = Content()
    people: dict[str, list[dict[str, Any]]] = {
        "users": [{"name": name, "tenants": list(tenants)} for name, tenants in USERS.items()],
        "groups": [{"name": "devs", "members": ["user:alice", "user:bob"]}],
        "roles": [{"name": "lead", "members": ["group:devs", "user:carol"]}],
        "routes": [
            {"name": name, "approvers": ["role:lead"], "quorum": quorum, "expires_after": f"{after}s"}
            for name, (quorum, after) in ROUTES.items()
        ],
        "rules": [written(number, given) for number, given in enumerate(rules)],
    }
    for section, entries in people.items():
        for entry in entries:
            content.add(section, read_entry(section, entry), "file:1")
    return Bundle.from_content(content)


def written(number: int, given: dict[str, Any]) -> dict[str, Any]:
    rule = {**given, "id": f"r{number}", "owner": "o"}
    if given["effect"] != "ask":
        del rule["route"]
    if given["effect"] != "deny":
        rule["agent"] = given["agent"] or "agent:*"
        rule["tool"] = given["tool"] or "**"
    rule["when"] = [{"argument": "n", given["when"][0]: given["when"][1]}] if given["when"] else None
    return {key: value for key, value in rule.items() if value is not None}


def matches(rule: dict[str, Any], asked: AccessRequest) -> bool:
    """docs/policy.md, read as plainly as possible."""
    deny, strict = rule["effect"] == "deny", rule["effect"] != "allow"
    user = asked.requester.removeprefix("user:")
    known = asked.tenant in USERS.get(user, ())
    named = {None: True, "user:*": known, "user:alice": user == "alice"}
    wanted = rule["requester"]
    person = user in GROUPS[wanted] if wanted in GROUPS else named[wanted]
    patterns = {
        "a.*": {"a.b", "a.c"},
        "a.**": {"a.b", "a.c", "a.b.c"},
        "*": {"a"},
        "**": set(TOOLS),
        None: set(TOOLS),
    }
    if rule["when"]:
        value, (operator, operand) = asked.arguments.get("n"), rule["when"]
        same = type(value) is type(operand)
        holds = strict if not same else (value < operand if operator == "lt" else value == operand)
    else:
        holds = True
    return (
        asked.tool in patterns.get(rule["tool"], {rule["tool"]})
        and rule["agent"] in (None, "agent:*", asked.agent)
        and person
        and (known or deny)
        and rule["tenant"] in ("*", asked.tenant)
        and rule["action"] in ("*", asked.action)
        and holds
    )


def strength(numbered: tuple[int, dict[str, Any]]) -> tuple[int, int, int, str]:
    number, rule = numbered
    quorum, after = ROUTES[rule["route"]] if rule["effect"] == "ask" else (0, 0)
    return ["deny", "ask", "allow"].index(rule["effect"]), -quorum, after, f"r{number}"


def approvers(rule: dict[str, Any], asked: AccessRequest) -> int:
    users = [
        name for name, tenants in USERS.items() if asked.tenant in tenants and f"user:{name}" != asked.requester
    ]
    return len(users)


@settings(max_examples=250, deadline=None)
@given(st.lists(rule, max_size=6), st.lists(request, min_size=1, max_size=6))
def test_decision_is_the_plain_reading(rules, requests):
    bundle = bundle_of(rules)
    for asked in requests:
        found = sorted(((n, r) for n, r in enumerate(rules) if matches(r, asked)), key=strength)
        decision = decide(bundle, asked)
        assert decision.matched == tuple(f"r{number}" for number, _ in found)
        if not found:
            assert (decision.verdict, decision.rule) == ("deny", "")
            could_allow = any(r["effect"] != "deny" for r in rules)
            assert (decision.nearest is not None) == could_allow
            continue
        number, strongest = found[0]
        verdict = strongest["effect"]
        if verdict == "ask" and approvers(strongest, asked) < ROUTES[strongest["route"]][0]:
            verdict = "deny"
        assert (decision.verdict, decision.rule) == (verdict, f"r{number}")


@settings(max_examples=60, deadline=None)
@given(st.lists(rule, min_size=1, max_size=6), request, st.randoms(use_true_random=False))
def test_order_of_rules_changes_nothing(rules, asked, random):
    numbered = [written(number, given) for number, given in enumerate(rules)]
    first = decide(bundle_of(rules), asked)
    random.shuffle(numbered)
    content = Content()
    for section, items in (("rules", numbered),):
        for item in items:
            content.add(section, read_entry(section, item), "file:1")
    whole = bundle_of(rules)
    content.users = {name: read_entry("users", {"name": name, "tenants": list(t)}) for name, t in USERS.items()}
    content.groups = {"devs": read_entry("groups", {"name": "devs", "members": ["user:alice", "user:bob"]})}
    content.roles = {"lead": read_entry("roles", {"name": "lead", "members": ["group:devs", "user:carol"]})}
    content.routes = dict(whole.routes)
    again = decide(Bundle.from_content(content), asked)
    assert (again.verdict, again.rule, again.matched) == (first.verdict, first.rule, first.matched)


@settings(max_examples=60, deadline=None)
@given(st.lists(rule, max_size=5), rule, request)
def test_one_more_deny_never_widens(rules, extra, asked):
    rank = {"deny": 0, "ask": 1, "allow": 2}
    before = decide(bundle_of(rules), asked)
    after = decide(bundle_of([*rules, {**extra, "effect": "deny"}]), asked)
    assert rank[after.verdict] <= rank[before.verdict]


@settings(max_examples=60, deadline=None)
@given(st.lists(rule, max_size=6), request)
def test_bytes_decide_alike(rules, asked):
    bundle = bundle_of(rules)
    assert decide(Bundle.from_bytes(bundle.to_bytes()), asked) == decide(bundle, asked)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.one_of(st.text(max_size=200), st.text("{}[]:-,&*!|>'\" \nabr", max_size=80)),
    data=st.binary(max_size=60),
)
def test_no_file_crashes_the_loader(tmp_path: Path, text, data):
    for content in (text.encode("utf-8", "surrogatepass"), data, b"rules:\n  - " + data):
        (tmp_path / "x.yaml").write_bytes(content)
        problems: tuple[str, ...] = ()
        try:
            load_bundle(tmp_path)
        except PolicyError as error:
            problems = error.problems
        assert all(problem.startswith(f"{tmp_path.name}/x.yaml:") for problem in problems)
        assert all("\n" not in problem for problem in problems)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcn.", max_size=4), inner, max_size=3),
    max_leaves=8,
)

EVERY_OPERATOR = (
    ("eq", "a"),
    ("ne", 1),
    ("lt", 5),
    ("le", 5),
    ("gt", 5),
    ("ge", 5),
    ("in", ["a", 1, None]),
    ("not_in", [True]),
    ("under", "a/b"),
    ("not_under", "/a"),
    ("host_in", [".a.b", "a.b"]),
    ("matches", "a.*"),
    ("contains", "a"),
    ("length_le", 3),
)


@pytest.fixture(scope="module")
def operator_bundle() -> Bundle:
    """One allow and one deny rule for each operator, each on a tool of its own."""
    content = Content()
    content.add("users", read_entry("users", {"name": "alice", "tenants": "acme"}), "file:1")
    for effect in ("allow", "deny"):
        for operator, operand in EVERY_OPERATOR:
            entry = {
                "id": f"{effect}.{operator}",
                "effect": effect,
                "owner": "o",
                "agent": "agent:x",
                "tool": f"{effect}.{operator}",
                "when": [{"argument": "n", operator: operand}],
            }
            content.add("rules", read_entry("rules", entry), "file:1")
    return Bundle.from_content(content)


@settings(max_examples=120, deadline=None)
@given(value=json_values)
def test_any_value_is_decided_and_unclear_denies(operator_bundle: Bundle, value):
    for operator, _ in EVERY_OPERATOR:
        answers = []
        for effect in ("allow", "deny"):
            asked = AccessRequest(
                tenant="acme",
                agent="agent:x",
                requester="user:alice",
                tool=f"{effect}.{operator}",
                action="do",
                resource="",
                arguments={"n": value},
                run="r",
                workflow="",
                time=datetime(2026, 1, 1, tzinfo=UTC),
            )
            answers.append(decide(operator_bundle, asked))
        allow, deny = answers
        if allow.condition_errors:
            assert (allow.verdict, deny.rule) == ("deny", f"deny.{operator}")
        else:
            assert (allow.verdict == "allow") == (deny.rule != "")
