"""Precedence, subjects, tenants, patterns, obligations and what a decision says of itself."""

from __future__ import annotations

import pytest

from interlock.digest import canonical, digest_bytes
from interlock.errors import InvalidInput
from interlock.policy import decide, explain
from interlock.types import canonical_request


def rules(*texts: str) -> str:
    """Several rules as one file; each text is a flow mapping without braces."""
    return "rules:\n" + "".join(f"  - {{owner: team, {text}}}\n" for text in texts)


ALLOW = "id: grant, effect: allow, agent: 'agent:fixer', tool: edit_file"
ASK = "id: ask, effect: ask, agent: 'agent:fixer', tool: edit_file, route: leads"
DENY = "id: guard, effect: deny, tool: edit_file"


@pytest.mark.parametrize(
    ("texts", "verdict", "rule", "matched"),
    [
        ((), "deny", "", ()),
        ((ALLOW,), "allow", "grant", ("grant",)),
        ((ALLOW, ASK), "ask", "ask", ("ask", "grant")),
        ((ALLOW, ASK, DENY), "deny", "guard", ("guard", "ask", "grant")),
        ((ASK,), "ask", "ask", ("ask",)),
    ],
)
def test_stricter_effect_decides_and_all_are_listed(load, request_of, texts, verdict, rule, matched):
    for order in (texts, texts[::-1]):
        decision = decide(load(rules(*order) if order else "rules: []"), request_of())
        assert (decision.verdict, decision.rule, decision.matched) == (verdict, rule, matched)
        assert (decision.route is not None) == (verdict == "ask")


def test_strictest_route_decides_and_routes_are_not_merged(load, request_of):
    routes = """\
users:
  - {name: dan, tenants: acme}
routes:
  - {name: one_slow, approvers: [user:bob, user:carol, user:dan], expires_after: 2d}
  - {name: two_slow, approvers: [user:bob, user:carol, user:dan], quorum: 2, expires_after: 2d}
  - {name: two_fast, approvers: [user:bob, user:carol, user:dan], quorum: 2, expires_after: 1h}
"""
    asks = [
        f"id: {name}, effect: ask, agent: 'agent:fixer', tool: edit_file, route: {name}"
        for name in ("one_slow", "two_slow", "two_fast")
    ]
    decision = decide(load(rules(*asks), more=routes), request_of())
    assert decision.matched == ("two_fast", "two_slow", "one_slow")
    assert (decision.route.name, decision.route.quorum, decision.route.expires_after_s) == ("two_fast", 2, 3600)


def test_route_names_people_without_the_requester(load, request_of):
    bundle = load(rules(ASK))
    assert decide(bundle, request_of()).route.approvers == ("user:bob", "user:carol")
    assert decide(bundle, request_of(requester="user:bob")).route.approvers == ("user:carol",)


def test_approver_of_another_tenant_is_left_out(load, request_of):
    decision = decide(load(rules(ASK)), request_of(tenant="other", requester="user:carol"))
    assert (decision.verdict, decision.rule, decision.route) == ("deny", "ask", None)
    assert "only 0 in tenant 'other' may approve for 'user:carol'" in decision.reason


@pytest.mark.parametrize("requester", ["user:mallory", "user:alice@acme"])
def test_unknown_requester_is_denied(load, request_of, requester):
    for text in (ALLOW, ASK, ALLOW.replace("tool", "requester: 'user:*', tool")):
        decision = decide(load(rules(text)), request_of(requester=requester))
        assert (decision.verdict, decision.rule) == ("deny", "")
        assert "is not a known user of tenant 'acme'" in decision.nearest.clause


def test_person_of_another_tenant_is_denied(load, request_of):
    assert decide(load(rules(ALLOW)), request_of(tenant="other")).verdict == "deny"
    assert decide(load(rules(ALLOW)), request_of(tenant="other", requester="user:carol")).verdict == "allow"


def test_agent_and_person_must_both_match(load, request_of):
    bundle = load(rules(ALLOW.replace("tool", "requester: 'group:developers', tool")))
    assert decide(bundle, request_of()).verdict == "allow"
    assert decide(bundle, request_of(requester="user:carol")).verdict == "deny"
    assert decide(bundle, request_of(agent="agent:other")).verdict == "deny"


def test_deny_rule_without_subjects_means_everyone(load, request_of):
    bundle = load(rules(DENY))
    for change in ({}, {"requester": "user:mallory"}, {"agent": "agent:x"}, {"tenant": "nowhere"}):
        assert decide(bundle, request_of(**change)).rule == "guard"


@pytest.mark.parametrize(
    "change",
    [
        {"agent": "role:admin"},
        {"agent": "group:developers"},
        {"agent": "user:alice"},
        {"requester": "group:developers"},
        {"requester": "role:admin"},
        {"requester": "agent:fixer"},
    ],
)
def test_role_or_group_is_no_subject(load, request_of, change):
    people = "roles:\n  - {name: admin, members: [user:alice, agent:fixer]}\n"
    bundle = load(rules(ALLOW.replace("agent:fixer", "role:admin")), roles=people)
    assert decide(bundle, request_of()).verdict == "allow"
    decision = decide(bundle, request_of(**change))
    assert (decision.verdict, decision.rule) == ("deny", "")
    assert "request is invalid" in decision.reason


def test_time_without_zone_is_denied(load, request_of):
    request = request_of()
    naive = request.model_copy(update={"time": request.time.replace(tzinfo=None)})
    assert "'time' must carry its zone" in decide(load(rules(ALLOW)), naive).reason


def test_wildcard_tenant_cannot_be_asked_for(request_of):
    with pytest.raises(ValueError, match="tenant"):
        request_of(tenant="*")


@pytest.mark.parametrize(
    ("pattern", "tool", "covered"),
    [
        ("db.*", "db.read", True),
        ("db.*", "db.read.all", False),
        ("db.*", "db", False),
        ("db.**", "db.read.all", True),
        ("db.**", "db", False),
        ("'*'", "db", True),
        ("'*'", "db.read", False),
        ("'**'", "db.read", True),
        ("db.*.read", "db.x.read", True),
        ("db.*.read", "db.x.delete", False),
        ("db.*.read", "db.x.read.y", False),
        ("db.read", "db_read", False),
        ("db.read", "dbxread", False),
        ("db.r", "db.read", False),
    ],
)
def test_tool_pattern_covers_whole_segments(load, rule, request_of, pattern, tool, covered):
    bundle = load(rule(tool=pattern))
    assert (decide(bundle, request_of(tool=tool)).verdict == "allow") is covered


@pytest.mark.parametrize(
    ("pattern", "resource", "allowed", "denied"),
    [
        ("workspace:source/**", "workspace:source/a/b", True, True),
        ("workspace:source/**", "workspace:source", False, False),
        ("workspace:source/*", "workspace:source/a/b", False, False),
        ("workspace:source/**", "artifact:source/a", False, False),
        ("workspace:source/**", "workspace:source/../x", False, True),
        ("workspace:source/**", "workspace:.", False, True),
        ("workspace:source/**", "workspace:/source/a", False, False),
        ("'*'", "anything at all", True, True),
    ],
)
def test_resource_pattern_covers_or_denies(load, rule, request_of, pattern, resource, allowed, denied):
    request = request_of(resource=resource)
    assert (decide(load(rule(resource=pattern)), request).verdict == "allow") is allowed
    assert (decide(load(rule(effect="deny", resource=pattern)), request).rule == "r") is denied


@pytest.mark.parametrize(
    ("change", "clause"),
    [
        ({"tool": "read_file"}, "tool is 'read_file', the rule covers 'edit_file'"),
        ({"agent": "agent:triage"}, "agent is 'agent:triage', the rule covers 'agent:fixer'"),
        ({"requester": "user:carol"}, "requester is 'user:carol', the rule covers 'group:developers'"),
        ({"action": "read"}, "action is 'read', the rule covers 'write'"),
        ({"resource": "workspace:docs/x"}, "resource is not 'workspace:source/**'"),
        ({"arguments": {"path": "docs/x", "n": 1}}, "arguments.path must be under 'source'"),
        ({"arguments": {"path": "source/x", "n": 9}}, "arguments.n must be below 5"),
        ({"arguments": {"path": "source/x"}}, "arguments.n cannot be tested: it is absent"),
    ],
)
def test_default_deny_names_nearest_rule_and_clause(load, request_of, change, clause):
    near = (
        "id: near, effect: allow, agent: 'agent:fixer', requester: 'group:developers', tool: edit_file, "
        "action: write, resource: 'workspace:source/**', "
        "when: [{argument: path, under: source}, {argument: n, lt: 5}]"
    )
    far = "id: far, effect: allow, agent: 'agent:else', requester: 'user:bob', tool: other, action: other"
    decision = decide(load(rules(far, near, DENY.replace("edit_file", "never"))), request_of(**change))
    assert (decision.verdict, decision.rule) == ("deny", "")
    assert (decision.nearest.rule, decision.nearest.clause) == ("near", clause)
    assert decision.nearest.source == "permissions/rules.yaml:3"
    assert clause in decision.reason


def test_decision_never_carries_argument_values(load, request_of):
    secret = "hunter2/../%/x"
    texts = ("id: a, effect: allow, agent: 'agent:*', tool: '**', when: [{argument: path, under: source}]",)
    request = request_of(arguments={"path": secret}, resource=f"workspace:{secret}")
    for more in ("resource: 'workspace:source/**'", "note: x"):
        decision = decide(load(rules(texts[0] + ", " + more)), request)
        assert "hunter2" not in decision.model_dump_json()
        assert decision.condition_errors


def test_profile_of_deciding_rule_is_obliged(load, rule, request_of):
    assert decide(load(rule(profile="default")), request_of()).profile == "default"
    assert decide(load(rule()), request_of()).profile == ""


@pytest.mark.parametrize("value", [0.5, float("nan"), 2**53, "\ud800"])
def test_request_without_canonical_form_is_no_decision(load, rule, request_of, value):
    with pytest.raises(InvalidInput):
        decide(load(rule()), request_of(arguments={"path": value}))


def test_oversized_request_is_no_decision(load, rule, request_of):
    with pytest.raises(InvalidInput, match="the limit is"):
        decide(load(rule()), request_of(arguments={"path": "x" * 5_000_000}))


def test_decision_names_bundle_and_request_digests(load, rule, request_of):
    bundle, request = load(rule()), request_of()
    decision = decide(bundle, request)
    assert decision.bundle == bundle.digest
    assert decision.request == digest_bytes(canonical(canonical_request(request)))


def test_deciding_leaves_the_request_unchanged(load, rule, request_of):
    request = request_of(arguments={"path": "source/x", "deep": {"list": [1, 2]}})
    before = request.model_dump_json()
    decide(load(rule(when="[{argument: deep.list, contains: 2}]")), request)
    assert request.model_dump_json() == before


def test_explanation_names_lines_runners_up_and_near_rules(load, request_of):
    other = "id: other, effect: allow, agent: 'agent:fixer', tool: edit_file, when: [{argument: path, under: docs}]"
    found = explain(load(rules(ALLOW, DENY, other, ASK)), request_of())
    assert (found.deciding.rule, found.deciding.source) == ("guard", "permissions/rules.yaml:3")
    assert [(r.rule, r.effect, r.source[-1]) for r in found.runners_up] == [
        ("ask", "ask", "5"),
        ("grant", "allow", "2"),
    ]
    assert [(n.rule, n.clause) for n in found.near] == [("other", "arguments.path must be under 'docs'")]
    assert found.decision == decide(load(rules(ALLOW, DENY, other, ASK)), request_of())


def test_explanation_of_invalid_request_names_no_rule(load, request_of):
    found = explain(load(rules(ALLOW)), request_of(agent="role:x"))
    assert (found.deciding, found.near) == (None, ())
