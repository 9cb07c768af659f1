"""Properties that nothing may widen: deny overrides, order, tenants, errors, guardrails, expiry."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.errors import PolicyError
from interlock.policy import Bundle, decide, load_bundle
from interlock.policy.compiled import CompiledCondition
from interlock.policy.content import Content
from interlock.policy.entries import read_entry
from interlock.policy.normal import ConditionError
from interlock.types import AccessRequest

RANK = {"deny": 0, "ask": 1, "allow": 2}
DAY = "2026-06-01"

PEOPLE: dict[str, list[dict[str, Any]]] = {
    "users": [
        {"name": "alice", "tenants": ["acme"]},
        {"name": "bob", "tenants": ["acme", "other"]},
        {"name": "carol", "tenants": ["other"]},
    ],
    "groups": [{"name": "devs", "members": ["user:alice", "user:bob"]}],
    "roles": [{"name": "lead", "members": ["group:devs", "user:carol"]}],
    "routes": [
        {"name": "one", "approvers": ["role:lead"], "quorum": 1, "expires_after": "1h"},
        {"name": "two", "approvers": ["role:lead"], "quorum": 2, "expires_after": "1h"},
    ],
}


CONDITIONS: tuple[list[dict[str, Any]], ...] = (
    [],
    [{"argument": "n", "lt": 5}],
    [{"argument": "n", "eq": "t"}, {"argument": "n", "ne": "u"}],
)


def some_rule(*effects: str) -> st.SearchStrategy[dict[str, Any]]:
    """A rule of one of these effects, without its id."""
    return st.fixed_dictionaries(
        {
            "effect": st.sampled_from(effects),
            "agent": st.sampled_from(["agent:x", "agent:y", "agent:*", ["agent:x", "agent:y"]]),
            "requester": st.sampled_from(["user:alice", "group:devs", "role:lead", "user:*"]),
            "tenant": st.sampled_from(["acme", "other", "*", ["acme", "other"]]),
            "tool": st.sampled_from(["a", "a.b", "a.*", "a.**", "*", "**", ["a", "a.b"]]),
            "action": st.sampled_from(["read", "*"]),
            "resource": st.sampled_from(["*", "file:a/**", "file:*"]),
            "when": st.sampled_from(CONDITIONS),
            "route": st.sampled_from(["one", "two"]),
            "guardrail": st.booleans(),
            "expires": st.sampled_from([None, None, DAY, "2027-01-01", "2025-01-01"]),
        }
    ).map(_fitting)


def _fitting(rule: dict[str, Any]) -> dict[str, Any]:
    if rule["effect"] != "ask":
        del rule["route"], rule["guardrail"]
    return {key: value for key, value in rule.items() if value is not None}


rules = st.lists(some_rule("allow", "ask", "deny"), max_size=6)
request = st.builds(
    lambda **values: AccessRequest(run="r", workflow="", **values),
    tenant=st.sampled_from(["acme", "other", "third"]),
    agent=st.sampled_from(["agent:x", "agent:y", "agent:z"]),
    requester=st.sampled_from(["user:alice", "user:bob", "user:carol", "user:eve"]),
    tool=st.sampled_from(["a", "a.b", "a.c", "a.b.c", "b"]),
    action=st.sampled_from(["read", "write"]),
    resource=st.sampled_from(["", "file:a/b", "file:a", "file:a/../b", "other:x"]),
    arguments=st.sampled_from([{}, {"n": 1}, {"n": 9}, {"n": "t"}, {"n": True}, {"n": None}, {"n": [1]}]),
    time=st.sampled_from([datetime(2026, 5, 31, 23, 59, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)]),
)


def bundle_of(given: list[dict[str, Any]]) -> Bundle:
    content = Content()
    numbered = [{"id": f"r{number}", "owner": "o", **rule} for number, rule in enumerate(given)]
    for section, entries in {**PEOPLE, "rules": numbered}.items():
        for entry in entries:
            content.add(section, read_entry(section, entry), "file:1")
    return Bundle.from_content(content)


def effects_of(bundle: Bundle, matched: tuple[str, ...]) -> list[str]:
    return [bundle.rule_by_id[rule].rule.effect for rule in matched]


@settings(max_examples=200, deadline=None)
@given(rules, request)
def test_deny_overrides_whatever_else_matches(given, asked):
    bundle = bundle_of(given)
    decision = decide(bundle, asked)
    effects = effects_of(bundle, decision.matched)
    if "deny" in effects:
        assert (decision.verdict, bundle.rule_by_id[decision.rule].rule.effect) == ("deny", "deny")
    if decision.verdict == "allow":
        assert set(effects) == {"allow"}


@settings(max_examples=100, deadline=None)
@given(rules, some_rule("deny"), request)
def test_deny_that_covers_all_stops_all(given, deny, asked):
    everything = {"id": "z.all", "effect": "deny"}
    assert decide(bundle_of([*given, deny, everything]), asked).verdict == "deny"


@settings(max_examples=40, deadline=None)
@given(rules, st.randoms(use_true_random=False), st.lists(request, min_size=1, max_size=3))
def test_files_and_order_mean_nothing(given, random, requests):
    numbered = [{"id": f"r{number}", "owner": "o", **rule} for number, rule in enumerate(given)]
    first = written({"people": PEOPLE, "rules": {"rules": numbered}})
    random.shuffle(numbered)
    files: dict[str, dict[str, list[Any]]] = {name: {"rules": []} for name in ("z", "a", "deep/m")}
    for rule in numbered:
        files[random.choice(sorted(files))]["rules"].append(rule)
    people = {section: random.sample(entries, len(entries)) for section, entries in PEOPLE.items()}
    second = written({"people": dict(random.sample(sorted(people.items()), len(people))), **files})
    for asked in requests:
        one, two = decide(first, asked), decide(second, asked)
        assert (one.verdict, one.rule, one.matched, one.route) == (two.verdict, two.rule, two.matched, two.route)
        assert one.condition_errors == two.condition_errors


def written(files: dict[str, Any]) -> Bundle:
    """The bundle of real files; JSON is YAML."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "permissions"
        for name, value in files.items():
            path = folder / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(value, indent=1))
        return load_bundle(folder)


@settings(max_examples=150, deadline=None)
@given(rules, some_rule("allow", "ask", "deny"), request)
def test_rules_of_another_tenant_change_nothing(given, extra, asked):
    before = decide(bundle_of(given), asked)
    elsewhere = {**extra, "tenant": [tenant for tenant in ("acme", "other", "third") if tenant != asked.tenant]}
    after = decide(bundle_of([*given, elsewhere]), asked)
    assert (after.verdict, after.rule, after.matched, after.route) == (
        before.verdict,
        before.rule,
        before.matched,
        before.route,
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(some_rule("allow", "ask"), min_size=1, max_size=6), request)
def test_nobody_acts_or_approves_in_a_foreign_tenant(given, asked):
    decision = decide(bundle_of(given), asked)
    tenants = {f"user:{user['name']}": user["tenants"] for user in PEOPLE["users"]}
    if asked.tenant not in tenants.get(asked.requester, ()):
        assert (decision.verdict, decision.matched) == ("deny", ())
    if decision.route is not None:
        assert all(asked.tenant in tenants[approver] for approver in decision.route.approvers)
        assert asked.requester not in decision.route.approvers


FAILURES = (
    *(ConditionError("x"), KeyError("x"), ValueError("x"), TypeError("x"), ArithmeticError(), AssertionError()),
    *(UnicodeDecodeError("utf-8", b"", 0, 1, "x"), RecursionError(), MemoryError(), StopIteration(), OSError()),
)


@settings(max_examples=150, deadline=None)
@given(rules, request, st.sampled_from(FAILURES))
def test_error_in_a_condition_allows_nothing(given, asked, failure):
    """Whatever a test raises, no call is allowed by a rule with such a test, nor past a rule that might deny it."""
    whole = bundle_of(given)
    expected = decide(
        bundle_of([{**r, "when": []} for r in given if r["when"] == [] or r["effect"] != "allow"]), asked
    )

    def broken(self: CompiledCondition, view: Any) -> bool:
        raise failure

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CompiledCondition, "holds", broken)
        try:
            decision = decide(whole, asked)
        except Exception:
            return
    assert RANK[decision.verdict] <= RANK[expected.verdict]
    if decision.rule and decision.verdict == "allow":
        assert not whole.rule_by_id[decision.rule].conditions


@settings(max_examples=150, deadline=None)
@given(st.lists(some_rule("ask", "deny"), max_size=6), request)
def test_guardrails_alone_grant_nothing(given, asked):
    alone = [{**rule, "guardrail": True} if rule["effect"] == "ask" else rule for rule in given]
    assert decide(bundle_of(alone), asked).verdict == "deny"


@settings(max_examples=150, deadline=None)
@given(rules, some_rule("ask"), request)
def test_one_more_guardrail_never_widens(given, extra, asked):
    before = decide(bundle_of(given), asked)
    after = decide(bundle_of([*given, {**extra, "guardrail": True}]), asked)
    assert RANK[after.verdict] <= RANK[before.verdict]


@settings(max_examples=150, deadline=None)
@given(rules, request)
def test_expired_rule_is_as_if_it_were_not_there(given, asked):
    today = asked.time.date().isoformat()
    kept = [rule if rule.get("expires", "9") > today else None for rule in given]
    gone = {"effect": "deny", "tenant": "nobody"}
    decision = decide(bundle_of(given), asked)
    without = decide(bundle_of([rule or gone for rule in kept]), asked)
    assert (decision.verdict, decision.rule, decision.matched) == (without.verdict, without.rule, without.matched)


@settings(max_examples=150, deadline=None)
@given(rules, request)
def test_end_of_an_allow_rule_never_widens(given, asked):
    lasting = [{k: v for k, v in rule.items() if k != "expires" or rule["effect"] != "allow"} for rule in given]
    ended = [{**rule, "expires": "2020-01-01"} if rule["effect"] == "allow" else rule for rule in given]
    assert RANK[decide(bundle_of(ended), asked).verdict] <= RANK[decide(bundle_of(lasting), asked).verdict]


@pytest.mark.parametrize("answer", ["", "x", "NaN", "sNaN", "Infinity", "1e", "--1"])
def test_answer_that_is_no_number_counts_as_unknown(load, rule, request_of, answer):
    for effect, verdict in (("allow", "deny"), ("deny", "deny")):
        bundle: Bundle = load(rule(effect=effect, when="[{sum: {tool: a, argument: n}, lt: 5}]"))
        (question,) = (condition.condition.question for condition in bundle.rules[0].conditions)
        decision = decide(bundle, request_of(facts={question.text: answer}))
        assert (decision.verdict, len(decision.condition_errors)) == (verdict, 1)
        assert decide(bundle, request_of(facts={question.text: "4.99"})).condition_errors == ()


@pytest.mark.parametrize("damage", ["", "AAAA", "VFppZg==", "!", "VFppZjIAAAAAAAAAAAAAAAAA"])
def test_damaged_time_zone_is_no_bundle(load, rule, damage):
    window = "{from: '08:00', to: '09:00', zone: Europe/Berlin}"
    bundle: Bundle = load(rule(when=f"[{{attribute: time, time_between: {window}}}]"))
    stored = json.loads(bundle.to_bytes())
    stored["zones"] = [["Europe/Berlin", damage]]
    data = json.dumps(stored, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    with pytest.raises(PolicyError):
        Bundle.from_bytes(data)


@pytest.mark.parametrize("value", [1.5, float("nan"), float("-inf"), {"é": 1}, 2**53, [[1e300]], "\ud800"])
def test_request_without_canonical_form_is_not_decided(load, rule, request_of, value):
    """pydantic refuses the last one by itself, before or while it is written."""
    with pytest.raises(ValueError):
        decide(load(rule()), request_of(arguments={"path": value}))
