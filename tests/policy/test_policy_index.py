"""The index and its small enforcers decide what one plain Casbin enforcer with every row decides."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import casbin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.digest import canonical
from interlock.errors import PolicyError
from interlock.policy import Bundle, building, decide, explain, index
from interlock.policy.building import Rows, agrees, quick
from interlock.policy.compiled import CompiledRule
from interlock.policy.content import Content, read_content
from interlock.policy.enforcer import MODEL, Pdp
from interlock.policy.entries import read_entry
from interlock.policy.index import RuleIndex
from interlock.policy.people import People, cycles
from interlock.policy.rulebook import Rulebook
from interlock.policy.stored import read_stored
from interlock.policy.view import RequestView
from interlock.types import AccessRequest

TENANTS = ("acme", "other", "third")
TOOLS = ("a", "b", "a.b", "a.c", "a.b.c", "b.b", "a.b.c.d")
PATTERNS = (*TOOLS, "*", "**", "a.*", "a.**", "a.*.c", "*.b", "a.b.*", "a.b.**", "c.**")
USERS = {"alice": ("acme",), "bob": ("acme", "other"), "carol": ("other", "third")}
NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
ROLES = {
    "devs": ["user:alice", "agent:x"],
    "staff": ["role:devs", "user:bob"],
    "all": ["role:staff", "user:carol", "agent:y"],
}
NAMES = ("covers_call", "covers_subject", "covers_resource", "conditions_hold")


def some(values: Sequence[str], most: int = 3) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True)


rule = st.fixed_dictionaries(
    {"effect": st.sampled_from(["allow", "allow", "ask", "guardrail", "deny"]), "tool": some(PATTERNS)},
    optional={
        "agent": some(["agent:x", "agent:y", "agent:*", "role:devs", "role:all"]),
        "requester": some(["user:alice", "user:bob", "user:*", "role:devs", "role:staff", "role:all"]),
        "tenant": some([*TENANTS, "*"]),
        "action": some(["read", "write"], 2),
        "resource": some(["*", "file:x", "file:x/**", "file:*/y"], 2),
        "when": st.sampled_from([[{"argument": "n", "lt": 5}], [{"argument": "t", "eq": "t"}]]),
        "expires": st.sampled_from(["2026-06-01", "2026-06-02"]),
        "route": st.sampled_from(["one", "fast"]),
    },
)
request = st.builds(
    lambda **values: AccessRequest(run="r", workflow="", time=NOW, **values),
    tenant=st.sampled_from([*TENANTS, "fourth"]),
    agent=st.sampled_from(["agent:x", "agent:y", "agent:z"]),
    requester=st.sampled_from([*(f"user:{name}" for name in USERS), "user:eve"]),
    tool=st.sampled_from([*TOOLS, "c.d"]),
    action=st.sampled_from(["read", "write"]),
    resource=st.sampled_from(["file:x", "file:x/y", "file:x/../y", "other:x"]),
    arguments=st.sampled_from([{}, {"n": 1}, {"n": 9, "t": "t"}, {"n": True, "t": "u"}]),
)


def written(number: int, given: dict[str, Any]) -> dict[str, Any]:
    entry = {**given, "id": f"r{number:02}", "owner": "o", "effect": given["effect"].replace("guardrail", "ask")}
    if given["effect"] == "guardrail":
        entry["guardrail"] = True
    if entry["effect"] == "ask":
        entry.setdefault("route", "one")
    else:
        entry.pop("route", None)
    if entry["effect"] != "deny":
        entry.setdefault("agent", ["agent:*"])
    if isinstance(entry.get("expires"), str):
        entry["expires"] = date.fromisoformat(entry["expires"]).isoformat()
    return entry


def content_of(rules: list[dict[str, Any]]) -> Content:
    content = Content()
    sections: dict[str, list[dict[str, Any]]] = {
        "users": [{"name": name, "tenants": list(tenants)} for name, tenants in USERS.items()],
        "roles": [{"name": name, "members": members} for name, members in ROLES.items()],
        "routes": [
            {"name": name, "approvers": ["user:bob", "user:carol"], "expires_after": after}
            for name, after in (("one", "1h"), ("fast", "1m"))
        ],
        "rules": [written(number, given) for number, given in enumerate(rules)],
    }
    for section, entries in sections.items():
        for entry in entries:
            content.add(section, read_entry(section, entry), "rules.yaml:1")
    return content


def bundle_of(rules: list[dict[str, Any]]) -> Bundle:
    return Bundle.from_content(content_of(rules))


@contextmanager
def filed(split: int, places: int) -> Iterator[None]:
    """Builds the index as if many rules were filed, or as if each were too broad to be filed exactly."""
    before = index.SPLIT, index.MOST_PLACES
    index.SPLIT, index.MOST_PLACES = split, places  # type: ignore[misc]
    try:
        yield
    finally:
        index.SPLIT, index.MOST_PLACES = before  # type: ignore[misc]


def alone(rule: CompiledRule, view: RequestView) -> bool:
    """Whether every clause of the rule holds, said without any of what the index and its enforcers use."""
    covers = (
        rule.covers_tool,
        rule.covers_agent,
        rule.covers_requester,
        rule.covers_tenant,
        rule.covers_action,
        rule.covers_expiry,
        rule.covers_resource,
    )
    return all(covered(view) for covered in covers) and rule.outcome(view).hold


def plain_enforcer(bundle: Bundle) -> Callable[[AccessRequest], tuple[bool, str]]:
    """Casbin as it comes, with every rule as a row: its verdict and the id of its deciding rule."""
    rules = {rule.id: rule for rule in bundle.rules}

    def matches(view: RequestView, rule_id: str) -> bool:
        rule = rules.get(rule_id)
        if rule is None or not alone(rule, view):
            return False
        grants = (one for one in rules.values() if one.rule.effect != "deny" and not one.rule.guardrail)
        return not rule.rule.guardrail or any(alone(one, view) for one in grants)

    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=MODEL), Rows(bundle.pdp.rows))
    enforcer.add_function(NAMES[0], matches)
    for name in NAMES[1:]:
        enforcer.add_function(name, lambda view, rule_id: True)

    def ask(asked: AccessRequest) -> tuple[bool, str]:
        allowed, row = enforcer.enforce_ex(RequestView(asked, bundle.people))
        return allowed, row[1] if row else ""

    return ask


@settings(max_examples=200, deadline=None)
@given(
    st.lists(rule, max_size=14),
    st.lists(request, min_size=1, max_size=25),
    st.sampled_from([0, 1, 8]),
    st.sampled_from([1, 3, 1024]),
)
def test_index_decides_as_one_plain_enforcer(rules, requests, split, places):
    with filed(split, places):
        bundle = bundle_of(rules)
    plain = plain_enforcer(bundle)
    for asked in [*requests, *requests]:
        allowed, rule_id = plain(asked)
        deciding = bundle.pdp.deciding_rule(RequestView(asked, bundle.people))
        assert (deciding.id if deciding else "") == rule_id
        assert allowed == (deciding is not None and deciding.rule.effect != "deny")
        assert decide(bundle, asked).rule == rule_id


@settings(max_examples=150, deadline=None)
@given(
    st.lists(rule, max_size=20),
    st.lists(request, min_size=1, max_size=15),
    st.sampled_from([0, 2, 8]),
    st.sampled_from([1, 3, 1024]),
)
def test_index_leaves_out_no_rule_that_matches(rules, requests, split, places):
    bundle = bundle_of(rules)
    with filed(split, places):
        found = RuleIndex(bundle.book.heads)
    for asked in requests:
        view = RequestView(asked, bundle.people)
        candidates = found.candidates(view)
        assert list(candidates) == sorted(set(candidates))
        assert {position for position, rule in enumerate(bundle.rules) if alone(rule, view)} <= set(candidates)


@settings(max_examples=60, deadline=None)
@given(st.lists(rule, max_size=12), st.lists(request, min_size=1, max_size=8))
def test_stored_bundle_decides_and_explains_alike(rules, requests):
    bundle = bundle_of(rules)
    stored = read_stored(bundle.to_bytes(), MODEL)
    assert stored is not None, "what we write ourselves is read the quick way"
    again = Bundle.from_bytes(bundle.to_bytes())
    assert again.digest == bundle.digest
    assert [rule.rule for rule in again.rules] == [rule.rule for rule in bundle.rules]
    assert [rule.source for rule in again.rules] == [rule.source for rule in bundle.rules]
    for asked in requests:
        assert explain(again, asked) == explain(bundle, asked)


JUNK = (None, True, False, 0, 1, 1.0, 2**60, "", "x", "*", "Deny", [], ["x"], [1], [None], {}, {"x": 1})


@settings(max_examples=400, deadline=None)
@given(st.lists(rule, min_size=2, max_size=5), st.data())
def test_quick_reading_accepts_nothing_that_slow_refuses(rules, data):
    value = json.loads(bundle_of(rules).to_bytes())
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.sampled_from(value["rules"]))
        keys = [*place, "agent", "route", "profile", "guardrail", "expires", "when", "note", "egress", "extra"]
        key = data.draw(st.sampled_from(keys))
        others = [other[key] for other in value["rules"] if key in other]
        change = data.draw(st.one_of(st.sampled_from(JUNK), st.sampled_from(others or [None])))
        if data.draw(st.booleans()):
            place.pop(key, None)
        else:
            place[key] = change
    try:
        altered = canonical(value)
    except Exception:
        altered = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    quickly = read_stored(altered, MODEL)
    try:
        slowly = read_content(altered, MODEL)
    except PolicyError:
        assert quickly is None
        return
    if quickly is not None:
        assert {entry.origin.rule().id: entry.origin.rule() for entry in quickly.entries} == slowly.rules


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v["rules"][1].update(guardrail=0),
        lambda v: v["rules"][1].update(agent=None),
        lambda v: v["rules"][1].update(note=None),
        lambda v: v["rules"][1].update(tool="a"),
        lambda v: v["rules"][1].update(requester=["role:nobody"]),
        lambda v: v["rules"][1].update(notify=["role:nobody"]),
        lambda v: v["rules"][1].update(profile="nowhere"),
        lambda v: v["rules"][1].pop("tenant"),
        lambda v: v["rules"][1].update(id=v["rules"][0]["id"]),
        lambda v: v["rules"][1].update(id="r01\n"),
        lambda v: v["sources"].pop("rules:r01"),
        lambda v: v["sources"].update({"rules:r01": 5}),
        lambda v: v.update(sources=[1]),
        lambda v: v["sources"].update({"rüles": "x:1"}),
        lambda v: v["rules"][0].update(when=[{"attribute": "time", "time_between": dict(WINDOW)}]),
    ],
)
def test_altered_rule_among_good_ones_is_refused(change):
    value = json.loads(bundle_of([{"effect": "allow", "tool": ["a"], "agent": ["agent:x"]}] * 3).to_bytes())
    change(value)
    altered = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert read_stored(altered, MODEL) is None
    with pytest.raises(PolicyError):
        Bundle.from_bytes(altered)


WINDOW = {
    "from": "08:00",
    "to": "17:00",
    "zone": "Europe/Berlin",
    "days": ["mon"],
}


def test_quick_enforcer_is_used_and_agrees():
    bundle = bundle_of([{"effect": "allow", "tool": ["a"]}])
    enforcer = bundle.pdp._candidates(RequestView(asked_for(tool="a"), bundle.people)).enforcer
    assert agrees(quick, MODEL, NAMES)
    assert isinstance(enforcer, building._Enforcer)


def broken_expression(self: Any, expr: str, functions: Any = None) -> Any:
    raise AttributeError("a later Casbin renamed its parts")


def wrong_expression(self: Any, expr: str, functions: Any = None) -> Any:
    return casbin.Enforcer._get_expression(
        expr.replace(" and ", " or ").replace("&&", "||") + " or True", functions
    )


@pytest.mark.parametrize("hook", [broken_expression, wrong_expression])
def test_self_check_falls_back_to_stock_casbin(monkeypatch, hook):
    monkeypatch.setattr(building._Enforcer, "_get_expression", hook)
    agrees.cache_clear()
    try:
        bundle = bundle_of([{"effect": "deny", "tool": ["a"]}, {"effect": "allow", "tool": ["**"]}])
    finally:
        agrees.cache_clear()
    view = RequestView(asked_for(tool="a"), bundle.people)
    assert type(bundle.pdp._candidates(view).enforcer) is casbin.Enforcer
    assert (decide(bundle, asked_for(tool="a")).rule, decide(bundle, asked_for(tool="b")).rule) == ("r00", "r01")


def asked_for(**changes: Any) -> AccessRequest:
    plain = {"tenant": "acme", "agent": "agent:x", "requester": "user:alice", "tool": "a", "action": "read"}
    more = {"resource": "", "arguments": {}, "run": "r", "workflow": "", "time": NOW}
    return AccessRequest(**{**plain, **more, **changes})


def test_rows_and_rules_are_made_once_for_many_requests():
    bundle = Bundle.from_bytes(bundle_of([{"effect": "allow", "tool": [f"t{n}"]} for n in range(300)]).to_bytes())
    for number in range(10):
        decide(bundle, asked_for(tool=f"t{number}"))
    assert len(bundle.book._compiled) <= 10, "a decision compiles the rules that could match, and no others"


def test_kept_enforcers_are_bounded(monkeypatch):
    monkeypatch.setattr("interlock.policy.enforcer.KEPT_ROWS", 40)
    monkeypatch.setattr("interlock.policy.enforcer.KEPT_SUBJECTS", 5)
    bundle = bundle_of([{"effect": "allow", "tool": [f"t{n}"]} for n in range(60)])
    for number in [*range(60), *range(60)]:
        assert decide(bundle, asked_for(tool=f"t{number}")).rule == f"r{number:02}"
    assert len(bundle.pdp._by_subject) == 5
    assert 0 < len(bundle.pdp._by_rows) < 15


def test_rule_of_many_names_is_filed_in_few_places():
    many = {
        "effect": "allow",
        "tool": [f"t{n}.{m}" for n in range(30) for m in ("a", "b", "**")],
        "agent": [f"agent:a{n}" for n in range(90)],
        "requester": [f"user:u{n}" for n in range(90)],
        "tenant": [f"t{n}" for n in range(90)],
    }
    content = content_of([{"effect": "deny", "tool": ["a"]}])
    for name in range(90):
        entry = read_entry("users", {"name": f"u{name}", "tenants": [f"t{name}"]})
        content.add("users", entry, "rules.yaml:1")
    content.add("rules", read_entry("rules", written(1, many)), "rules.yaml:1")
    bundle = Bundle.from_content(content)
    places = sum(len(positions) for positions in bundle.pdp._index._by_tool_and_agent.values())
    assert places <= index.MOST_PLACES + 1
    asked = asked_for(tool="t3.c", agent="agent:a7", requester="user:u9", tenant="t9")
    assert decide(bundle, asked).rule == "r01"
    assert decide(bundle, asked.model_copy(update={"tenant": "t8"})).rule == ""


def test_nearest_rule_of_large_policy_shares_tool_and_agent():
    rules = [{"effect": "allow", "tool": [f"t{n}"], "agent": [f"agent:a{n}"]} for n in range(90)]
    rules.append({"effect": "allow", "tool": ["t5"], "agent": ["agent:a5"], "action": ["write"]})
    bundle = bundle_of(rules[:5] + rules[6:])
    near = decide(bundle, asked_for(tool="t5", agent="agent:a5")).nearest
    assert near is not None
    assert (near.rule, near.clause) == ("r89", "action is 'read', the rule covers 'write'")
    other = decide(bundle, asked_for(tool="t7", agent="agent:none")).nearest
    assert other is not None
    assert other.clause == "agent is 'agent:none', the rule covers 'agent:a7'"
    neither = decide(bundle, asked_for(tool="none", agent="agent:none")).nearest
    assert neither is not None


def test_guardrail_grants_nothing_and_tightens_what_is_granted():
    guard = {"effect": "guardrail", "tool": ["a"]}
    lonely = decide(bundle_of([guard]), asked_for())
    assert (lonely.verdict, lonely.rule, lonely.matched, lonely.nearest) == ("deny", "", (), None)
    granted = decide(bundle_of([guard, {"effect": "allow", "tool": ["**"]}]), asked_for())
    assert (granted.verdict, granted.rule, granted.matched) == ("ask", "r00", ("r00", "r01"))
    denied = decide(bundle_of([guard, {"effect": "deny", "tool": ["**"]}]), asked_for())
    assert (denied.verdict, denied.rule, denied.matched) == ("deny", "r01", ("r01",))
    two = decide(bundle_of([guard, guard]), asked_for())
    assert (two.verdict, two.rule) == ("deny", "")
    said = explain(bundle_of([guard]), asked_for()).near[0].clause
    assert said == "no other rule allows or asks for this call, and a guardrail grants nothing by itself"


def test_expired_rule_is_near_and_says_so():
    bundle = bundle_of([{"effect": "allow", "tool": ["a"], "expires": "2026-06-01"}])
    decision = decide(bundle, asked_for())
    assert (decision.verdict, decision.rule) == ("deny", "")
    assert decision.nearest is not None
    assert decision.nearest.clause == "the rule expired on 2026-06-01"
    before = asked_for(time=datetime(2026, 5, 31, 23, 59, 59, tzinfo=UTC))
    assert decide(bundle, before).verdict == "allow"


def test_empty_book_denies():
    pdp = Pdp(Rulebook([], lambda origin: origin))
    assert pdp.deciding_rule(RequestView(asked_for(), People({}, {}))) is None


members = st.dictionaries(
    st.sampled_from([f"role:r{n}" for n in range(6)]),
    st.lists(st.sampled_from([*(f"role:r{n}" for n in range(6)), "user:a", "user:b"]), min_size=1, unique=True).map(
        tuple
    ),
)


def reached(name: str, links: dict[str, tuple[str, ...]]) -> set[str]:
    found, todo = {name}, [name]
    while todo:
        below = todo.pop()
        fresh = [parent for parent, listed in links.items() if below in listed and parent not in found]
        found.update(fresh)
        todo += fresh
    return found


@settings(max_examples=300, deadline=None)
@given(members)
def test_closure_and_cycles_are_what_following_links_finds(links):
    people = People({}, links)
    for name in {name for listed in links.values() for name in listed}:
        assert people.names_of(name) == reached(name, links)
    own = {n for n in links if any(n in reached(parent, links) for parent in links if n in links[parent])}
    loops = {tuple(sorted(o for o in own if o in reached(n, links) and n in reached(o, links))) for n in own}
    assert list(cycles(links)) == sorted(loops)
