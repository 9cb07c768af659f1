"""Each family of the lint, also what it must leave alone."""

from __future__ import annotations

from datetime import date

import pytest

from interlock.definitions import ToolSchema
from interlock.policy.lint import KINDS, Surroundings, lint
from interlock.policy.sarif import sarif

TODAY = date(2026, 6, 1)


def tool(name: str, action: str, **more) -> ToolSchema:
    parameters = {
        "type": "object",
        "properties": {"path": {"type": "string"}, "mode": {"enum": ["fast", "safe"]}, "n": {"type": "integer"}},
        "additionalProperties": False,
    }
    return ToolSchema(
        name=name, description="", parameters=parameters, result={}, action=action, resource="", workspace="none",
        effects="contained", idempotent=True, profile="default", preview="arguments", sentence="", **more,
    )  # fmt: skip


def around(**changes) -> Surroundings:
    tools = {"edit_file": tool("edit_file", "write"), "read_file": tool("read_file", "read", emits=("untrusted",))}
    plain = {
        "agents": {"fixer": {"edit_file": "agents/fixer.py:3", "read_file": "agents/fixer.py:4"}, "other": {}},
        "tools": {**tools, "interlock.ask": tool("interlock.ask", "ask")},
        "places": {"edit_file": "tools/edit_file.py:1", "read_file": "tools/read_file.py:1"},
        "images": {"default"},
        "workflows": {"fix_issue"},
    }
    return Surroundings(**{**plain, **changes})


PEOPLE = """
users:
  - {name: alice, tenants: acme}
  - {name: bob, tenants: [acme, other]}
  - {name: carol, tenants: [acme, other]}
groups:
  - {name: developers, members: [user:alice, user:bob]}
routes:
  - {name: leads, approvers: [user:bob, user:carol], expires_after: 4h}
profiles:
  - {name: default}
"""
BASE = """
  - {id: base, effect: allow, owner: team, agent: agent:fixer, tool: [edit_file, read_file]}
  - {id: leads_ask, effect: ask, owner: team, agent: agent:fixer, tool: interlock.ask, route: leads}
  - {id: of_developers, effect: deny, owner: team, note: why, requester: 'group:developers', tool: interlock.ask}
"""


def rules(*texts: str, base: str = BASE) -> str:
    return "rules:" + (base or "\n") + "".join(f"  - {{{text}}}\n" for text in texts)


ALLOW = "effect: allow, owner: team, agent: agent:fixer"
DENY = "effect: deny, owner: team, note: why"
EDIT = "tool: edit_file"
GRANT = f"{ALLOW}, {EDIT}, profile: default"
ASK = "effect: ask, owner: team, agent: agent:fixer, route: leads"


@pytest.fixture
def codes(load):
    """The codes of all findings when rules are added."""

    def find(*texts: str, project: Surroundings | None = None, base: str = BASE, **files: str) -> list[str]:
        bundle = load(rules(*texts, base=base), **{"people": PEOPLE, **files})
        found = lint(bundle, TODAY, project or around())
        return [one.code for one in found]

    return find


def test_sound_policy_has_no_finding(codes):
    assert codes() == []


@pytest.mark.parametrize(
    ("wide", "narrow", "code"),
    [
        # who
        (f"id: a, {DENY}, {EDIT}", f"id: x, {GRANT}", "overridden-rule"),
        (f"id: a, {DENY}, requester: user:alice", f"id: x, {ALLOW}, requester: user:alice, tool: edit_file",
         "overridden-rule"),
        (f"id: a, {DENY}, requester: group:developers", f"id: x, {ALLOW}, requester: user:bob, tool: read_file",
         "overridden-rule"),
        (f"id: a, {DENY}, requester: 'user:*'", f"id: x, {ALLOW}, tool: read_file", "overridden-rule"),
        # what
        (f"id: a, {DENY}, tool: '*'", f"id: x, {ALLOW}, {EDIT}", "overridden-rule"),
        (f"id: a, {DENY}, resource: 'workspace:a/**'", f"id: x, {ALLOW}, {EDIT}, resource: 'workspace:a/b/*'",
         "overridden-rule"),
        (f"id: a, {DENY}, action: [write, read]", f"id: x, {ALLOW}, {EDIT}, action: write", "overridden-rule"),
        # when
        (f"id: a, {DENY}, {EDIT}, when: [{{argument: n, ge: 5}}]",
         f"id: x, {ALLOW}, {EDIT}, when: [{{argument: n, gt: 7}}]", "overridden-rule"),
        (f"id: a, {DENY}, {EDIT}, when: [{{argument: path, not_under: a}}]",
         f"id: x, {ALLOW}, {EDIT}, when: [{{argument: path, under: [b, c]}}]", "overridden-rule"),
        # how
        (f"id: a, {ASK}, tool: edit_file", f"id: x, {ALLOW}, {EDIT}, action: write, profile: default",
         "shadowed-rule"),
        (f"id: a, {GRANT}",
         f"id: x, {GRANT}, requester: user:alice", "shadowed-rule"),
        (f"id: a, {ALLOW}, {EDIT}, expires: 2027-01-01, profile: default",
         f"id: x, {ALLOW}, {EDIT}, expires: 2026-12-01, profile: default", "shadowed-rule"),
    ],
)  # fmt: skip
def test_rule_that_never_decides_is_found(load, wide, narrow, code):
    bundle = load(rules(wide, narrow, base=""))
    found = {one.rule: one for one in lint(bundle, TODAY) if one.code in ("overridden-rule", "shadowed-rule")}
    assert list(found) == ["x"]
    assert found["x"].code == code
    assert "'a' (permissions/rules.yaml:2)" in found["x"].message


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (f"id: a, {DENY}, {EDIT}, tenant: acme", f"id: x, {ALLOW}, {EDIT}"),
        (f"id: a, {DENY}, tool: '*'", f"id: x, {ALLOW}, tool: '**'"),
        (f"id: a, {DENY}, requester: user:bob", f"id: x, {ALLOW}, {EDIT}, requester: group:developers"),
        (f"id: a, {DENY}, expires: 2027-01-01", f"id: x, {ALLOW}, {EDIT}"),
        (f"id: a, {DENY}, when: [{{argument: n, gt: 7}}]", f"id: x, {GRANT}, when: [{{argument: n, ge: 5}}]"),
        (f"id: a, {DENY}, when: [{{argument: n, gt: 7}}]", f"id: x, {ALLOW}, {EDIT}"),
        (f"id: a, {DENY}, resource: 'workspace:*'", f"id: x, {ALLOW}, {EDIT}, resource: 'workspace:a/b'"),
        (f"id: a, {DENY}, resource: 'workspace:a'", f"id: x, {ALLOW}, {EDIT}"),
        # a deny rule also matches whom nobody knows, and a number that is text
        (f"id: a, {DENY}, requester: 'user:*', tool: edit_file", f"id: x, {DENY}, {EDIT}"),
        (f"id: a, {DENY}, {EDIT}, when: [{{argument: n, lt: 9.00}}]",
         f"id: x, {DENY}, {EDIT}, when: [{{argument: n, lt: 5}}]"),
        # a guardrail needs the rule that grants
        (f"id: a, {ASK}, guardrail: true, note: why, tool: edit_file", f"id: x, {ALLOW}, {EDIT}"),
    ],
)  # fmt: skip
def test_rule_that_may_decide_is_left_alone(load, wide, narrow):
    found = lint(load(rules(wide, narrow, base="")), TODAY)
    assert {one.code for one in found} & {"overridden-rule", "shadowed-rule", "duplicate-rule"} == set()


def test_group_is_covered_by_its_members(load):
    text = rules(
        f"id: a, {DENY}, requester: [user:alice, user:bob]",
        f"id: x, {ALLOW}, requester: group:developers, tool: edit_file",
        base="",
    )
    assert [one.code for one in lint(load(text), TODAY)] == ["unused-route", "overridden-rule"]


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (f"{GRANT}, when: [{{argument: path, ne: a}}]", "open-negation"),
        (f"{GRANT}, when: [{{argument: path, no_label: untrusted}}]", "open-negation"),
        (f"{GRANT}, when: [{{attribute: seen, no_label: untrusted}}]", "open-negation"),
        (f"{DENY}, {EDIT}, when: [{{argument: n, lt: 5}}, {{argument: n, gt: 9}}]", "contradictory-conditions"),
        (f"{DENY}, {EDIT}, when: [{{count: {{tool: edit_file}}, lt: 1}}]", "contradictory-conditions"),
        (f"{DENY}, {EDIT}, when: [{{count: {{tool: read_file}}, lt: 0}}]", "contradictory-conditions"),
        (f"{DENY}, {EDIT}, when: [{{attribute: requester, lt: 5}}]", "never-evaluable"),
        (f"{DENY}, {EDIT}, when: [{{argument: path, label: untrused}}]", "unknown-label"),
        (f"{DENY}, {EDIT}, when: [{{preceded_by: raed_file, eq: true}}]", "unreachable-tool"),
        (f"{DENY}, {EDIT}, when: [{{sum: {{tool: read_file, argument: amount}}, gt: 5}}]",
         "unreachable-argument"),
        (f"{DENY}, {EDIT}, when: [{{attribute: flow, eq: sinc}}]", "unknown-name"),
        ("effect: deny, owner: team, tool: edit_file, when: [{argument: n, gt: 5}]", "missing-note"),
        (f"{ASK}, guardrail: true, note: why, {EDIT}, tenant: other, requester: user:alice", "unreachable-tenant"),
        (f"{GRANT}, expires: 2026-06-01", "expired-rule"),
        (f"{GRANT}, expires: 2026-06-20", "expiring-rule"),
        (f"{DENY}, {EDIT}, when: [{{argument: n, gt: 5}}], expires: 2030-01-01", "expiring-deny"),
        (f"{ALLOW}, {EDIT}, requester: user:alice", "redundant-rule"),
        ("effect: allow, owner: team, agent: agent:other, tool: edit_file", "idle-grant"),
        (f"{GRANT}, tenant: acmee", "unreachable-tenant"),
        (f"{GRANT}".replace("agent:fixer", "group:developers"), "unreachable-subject"),
    ],
)  # fmt: skip
def test_rule_with_one_fault_has_one_finding(codes, rule, code):
    rule = rule.replace(
        "agent: agent:fixer, tool: edit_file, profile: default, agent:", "tool: edit_file, profile: default, agent:"
    )
    assert codes(f"id: a, {rule}") == [code]


@pytest.mark.parametrize(
    "rule",
    [
        f"{GRANT}, when: [{{argument: mode, ne: fast}}]",
        f"{GRANT}, when: [{{argument: path, under: a}}, {{argument: path, not_under: a/b}}]",
        f"{ASK}, guardrail: true, note: why, {EDIT}, when: [{{argument: path, not_under: a}}]",
        f"{DENY}, {EDIT}, when: [{{argument: path, not_under: a}}]",
        "effect: ask, owner: team, agent: agent:*, tool: interlock.ask, route: leads, requester: user:carol",
        f"{DENY}, {EDIT}, when: [{{count: {{tool: read_file}}, gt: 5}}]",
        f"{DENY}, {EDIT}, when: [{{count: {{tool: read_file}}, lt: 1}}]",
        f"{DENY}, {EDIT}, when: [{{argument: path, label: model}}]",
        f"{GRANT}, expires: 2028-06-01",
    ],
)  # fmt: skip
def test_sound_rule_has_no_finding(codes, rule):
    assert codes(f"id: a, {rule}") == []


def test_rule_that_allows_everything_is_found(codes):
    # Weaker than the base, of which it makes nothing useless since its profile is another.
    assert codes("id: x, effect: allow, owner: team, agent: agent:*, tool: '**', profile: default") == [
        "over-broad"
    ]
    assert codes(f"id: x, {ALLOW}, tool: '**', profile: default") == ["wide-tenant"]
    assert codes(f"id: x, {ALLOW}, tool: '**', profile: default, tenant: acme") == []


def test_guardrail_over_nothing_is_idle(codes):
    ask = "effect: ask, guardrail: true, note: why, owner: team, agent: agent:other, route: leads"
    assert codes(f"id: x, {ask}, tool: edit_file") == ["idle-guardrail"]
    assert codes(f"id: x, {ask.replace('other', '*')}, tool: edit_file") == []


def test_wide_ask_over_no_allow_is_found(codes):
    ask = "effect: ask, owner: team, agent: agent:fixer, route: leads"
    only_ask = BASE.replace("[edit_file, read_file]", "read_file")
    assert "ask-grants" in codes(
        f"id: x, {ask}, tool: '*', action: write", base=only_ask.replace("read_file}", "read_file, action: read}")
    )
    assert "ask-grants" not in codes(f"id: x, {ask}, tool: '*', when: [{{argument: path, under: a}}]")


def test_what_nothing_uses_is_found(codes):
    more = (
        "groups:\n  - {name: idle, members: user:alice}\n"
        "routes:\n  - {name: spare, approvers: [user:bob, user:carol], expires_after: 4h}\n"
        "profiles:\n  - {name: big}\n"
        "prices:\n  - {name: 'openai:old', input: 1, output: 2}\n"
    )
    project = around(models=frozenset({"scripted"}))
    found = codes(project=project, more=more)
    assert found == ["unused-subject", "unused-route", "unused-profile", "unused-price"]


def test_group_within_a_used_role_is_used(codes):
    more = "groups:\n  - {name: inner, members: user:alice}\nroles:\n  - {name: outer, members: group:inner}\n"
    assert codes(f"id: x, {DENY}, requester: role:outer, tool: edit_file", more=more) == []


def test_notified_group_is_used(codes):
    more = "groups:\n  - {name: told, members: user:alice}\n"
    assert codes(f"id: x, {DENY}, requester: user:bob, tool: edit_file, notify: group:told", more=more) == []


def test_route_that_lacks_people_in_one_tenant_is_found(load):
    people = (
        "users:\n  - {name: alice, tenants: [acme, other]}\n  - {name: bob, tenants: acme}\n"
        "  - {name: carol, tenants: [acme, other]}\n"
        "routes:\n  - {name: leads, approvers: [user:bob, user:carol], expires_after: 4h}\n"
        "profiles:\n  - {name: default}\n"
    )
    text = rules(f"id: x, {ASK}, tool: edit_file", base="")
    found = lint(load(text, people=people), TODAY)
    assert [(one.code, one.entry) for one in found] == [("unsatisfiable-route", "routes:leads")]
    assert "in tenant 'other' for 'user:carol': it needs 1 and 0 may approve" in found[0].message
    assert lint(load(text.replace("tool:", "tenant: acme, tool:"), people=people), TODAY) == []


def test_tools_and_agents_without_a_rule_are_found(load):
    bundle = load(rules("id: x, effect: allow, owner: team, agent: agent:other, tool: edit_file", base=""))
    project = around(
        agents={"fixer": {"edit_file": "agents/fixer.py:3"}, "other": {"edit_file": "agents/other.py:3"}}
    )
    found = [(one.code, one.file, one.line) for one in lint(bundle, TODAY, project)]
    assert ("ungranted-tool", "tools/read_file.py", 1) in found
    assert ("ungranted-agent-tool", "agents/fixer.py", 3) in found


def test_expired_grant_grants_no_tool(load):
    bundle = load(rules(f"id: x, {ALLOW}, tool: [edit_file, read_file], expires: 2026-05-01", base=""))
    assert [one.code for one in lint(bundle, TODAY, around())].count("ungranted-tool") == 2


def test_crowded_bucket_is_found(load):
    crowd = [f"id: r{n}, {DENY}, {EDIT}, when: [{{argument: path, eq: p{n}}}]" for n in range(201)]
    found = lint(load(rules(*crowd, base="")), TODAY)
    assert [one.message for one in found if one.code == "hot-bucket"] == [
        "201 rules are about 'edit_file', agent '*' and tenant '*'; 200 are many."
    ]
    assert "hot-bucket" not in [one.code for one in lint(load(rules(*crowd[1:], base="")), TODAY)]


def test_each_finding_says_what_next(load):
    bundle = load(rules("id: x, effect: allow, owner: team, agent: agent:*, tool: '**'", base=""))
    found = lint(bundle, TODAY)
    assert found
    for one in found:
        assert one.message.endswith(".")
        assert one.next_step.endswith(".")
        assert one.severity == KINDS[one.code].severity


def test_silenced_finding_is_a_suppressed_result(load):
    one = lint(load(rules(f"id: x, {ALLOW}, tool: '**'", base="")), TODAY)[0]
    log = sarif([one, one.model_copy(update={"silenced": "for now"})], version="1.0.0")
    results = log["runs"][0]["results"]
    assert "suppressions" not in results[0]
    assert results[1]["suppressions"] == [{"kind": "inSource", "justification": "for now"}]
