"""What the lint says of a rule, compared with decisions: a rule that never decides decides no request."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.policy import Bundle, decide
from interlock.policy.content import Content
from interlock.policy.entries import read_entry
from interlock.policy.lint import lint
from interlock.types import AccessRequest

USELESS = {"shadowed-rule", "overridden-rule", "duplicate-rule"}
ENTRIES = {
    "users": [{"name": "alice", "tenants": ["acme"]}, {"name": "bob", "tenants": ["acme", "other"]}],
    "groups": [
        {"name": "team", "members": ["user:alice", "user:bob"]},
        {"name": "bots", "members": ["agent:a", "agent:b"]},
    ],
    "routes": [
        {"name": "one", "approvers": ["group:team"], "expires_after": "4h"},
        {"name": "two", "approvers": ["user:alice", "user:bob"], "quorum": 2, "expires_after": "1h"},
    ],
}
CONDITIONS = [
    {"argument": "n", "lt": 2},
    {"argument": "n", "le": 1},
    {"argument": "n", "gt": 3},
    {"argument": "n", "in": [1, "x"]},
    {"argument": "path", "under": "a"},
    {"argument": "path", "under": ["a/b", "c"]},
    {"argument": "path", "not_under": "a"},
    {"argument": "path", "eq": "a/b"},
    {"argument": "path", "matches": "a.*"},
]
REQUESTS = [
    AccessRequest(
        tenant=tenant, agent=agent, requester=user, tool=tool, action="read", resource=f"file:{path or 'x'}",
        arguments={"n": n, **({"path": path} if path else {})}, run="r", workflow="w",
        time=datetime(2026, 6, 1, 12, tzinfo=UTC),
    )
    for tenant, agent, user, tool, n, path in product(
        ["acme", "other"], ["agent:a", "agent:c"], ["user:alice", "user:bob", "user:eve"], ["t", "t.u"],
        [1, 4, "x", None], ["a/b", "c", "../a", ""],
    )
]  # fmt: skip


def maybe(*values: object) -> st.SearchStrategy[object]:
    return st.sampled_from([None, None, *values])


@st.composite
def rules(draw: st.DrawFn) -> list[dict[str, object]]:
    made = []
    for name in "abc"[: draw(st.integers(2, 3))]:
        effect = draw(st.sampled_from(["allow", "ask", "deny"]))
        rule = {
            "id": name,
            "effect": effect,
            "owner": "team",
            "agent": draw(st.sampled_from(["agent:*", "agent:a", "group:bots"])),
            "tool": draw(st.sampled_from(["t", "*", "**", "t.*"])),
            "requester": draw(maybe("user:alice", "group:team", "user:*")),
            "tenant": draw(maybe("acme")),
            "resource": draw(maybe("file:a/**", "file:a/b")),
            "expires": draw(maybe("2026-06-01", "2027-01-01")),
            "when": draw(st.lists(st.sampled_from(CONDITIONS), max_size=2, unique_by=str)),
            "route": draw(st.sampled_from(["one", "two"])) if effect == "ask" else None,
            "guardrail": draw(st.booleans()) if effect == "ask" else None,
        }
        made.append({key: value for key, value in rule.items() if value is not None})
    return made


def bundle_of(made: list[dict[str, object]]) -> Bundle:
    content = Content()
    for section, items in {**ENTRIES, "rules": made}.items():
        for item in items:
            content.add(section, read_entry(section, item), f"f.yaml:{1 + len(content.sources)}")
    return Bundle.from_content(content)


@settings(max_examples=150, deadline=None)
@given(rules())
def test_useless_rule_decides_no_request(made):
    bundle = bundle_of(made)
    useless = {one.rule for one in lint(bundle, date(2026, 1, 1)) if one.code in USELESS}
    if useless:
        assert useless.isdisjoint({decide(bundle, request).rule for request in REQUESTS})


@settings(max_examples=150, deadline=None)
@given(rules())
def test_redundant_rule_changes_no_verdict(made):
    bundle = bundle_of(made)
    for name in [one.rule for one in lint(bundle, date(2026, 1, 1)) if one.code == "redundant-rule"]:
        without = bundle_of([rule for rule in made if rule["id"] != name])
        for request in REQUESTS:
            before, after = decide(bundle, request), decide(without, request)
            assert (before.verdict, before.route) == (after.verdict, after.route)
