"""What would have to be otherwise, and who could see to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from interlock.policy import Bundle, decide
from interlock.policy.reasons import Reasons, reasons
from interlock.types.access import AccessRequest

RULES = """\
rules:
  - id: edits
    effect: allow
    owner: developers
    agent: agent:fixer
    requester: group:developers
    tool: edit_file
    action: write
    when: [{argument: path, under: source}, {argument: size, le: 10}]
  - id: others
    effect: allow
    owner: ops
    agent: agent:other
    requester: user:alice
    tool: edit_file
    action: delete
    tenant: other
  - {id: reads, effect: allow, owner: developers, agent: agent:fixer, tool: read_file}
  - {id: sends, effect: ask, owner: developers, agent: agent:fixer, tool: send, route: leads}
  - {id: pairs, effect: ask, owner: developers, agent: agent:fixer, tool: pair, route: bobs}
  - {id: no_git, effect: deny, owner: security, tool: edit_file, when: [{argument: path, matches: '(.*/)?\\.git'}]}
  - {id: never, effect: deny, owner: security, tool: drop}
  - {id: old, effect: allow, owner: developers, agent: agent:fixer, tool: past, expires: 2026-01-01}
  - {id: watch, effect: ask, owner: security, agent: 'agent:*', tool: watched, route: leads, guardrail: true}
routes:
  - {name: bobs, approvers: user:bob, expires_after: 4h}
"""


@pytest.fixture
def why(load: Callable[..., Bundle], request_of: Callable[..., AccessRequest]) -> Callable[..., Reasons]:
    bundle = load(RULES)

    def ask(**changes: object) -> Reasons:
        request = request_of(**changes)
        return reasons(bundle, request, decide(bundle, request))

    return ask


def who(found: Reasons) -> list[tuple[str, str]]:
    return [(one.who, one.how) for one in found.grantors]


def test_all_failing_clauses_are_told(why: Callable[..., Reasons]) -> None:
    found = why(requester="user:carol", action="read", arguments={"path": "docs/x"})
    edits = next(near for near in found.near if near.rule == "edits")
    assert edits.clause == "requester must be 'group:developers', it is 'user:carol'"
    assert edits.needs[1:] == (
        "action must be 'write', it is 'read'",
        "arguments.path must be under 'source'",
        "arguments.size must be at most 10, it cannot be tested (it is absent)",
    )
    assert f"for edits: {'; '.join(edits.needs)}" in found.needs
    assert ("developers", "extend edits (permissions/rules.yaml:2)") in who(found)


def test_rules_of_other_tools_are_not_near(why: Callable[..., Reasons]) -> None:
    found = why(arguments={"path": "source/x", "size": 11})
    assert [near.rule for near in found.near] == ["edits", "no_git"]
    assert found.others == 1


def test_stricter_rules_come_first_where_it_runs(why: Callable[..., Reasons]) -> None:
    found = why(arguments={"path": "source/x", "size": 1})
    assert (found.near[0].rule, found.needs, found.grantors) == ("no_git", (), ())


def test_denying_rule_and_missing_grant_are_both_told(why: Callable[..., Reasons]) -> None:
    found = why(arguments={"path": "docs/.git", "size": 1})
    assert found.needs[0].startswith("no_git must not deny: it does while arguments.path matches ")
    assert found.needs[1] == "for edits: arguments.path must be under 'source'"
    assert [name for name, _ in who(found)] == ["security", "developers"]


def test_granted_but_denied_needs_only_the_denial_gone(why: Callable[..., Reasons]) -> None:
    found = why(arguments={"path": "source/.git", "size": 1})
    assert len(found.needs) == 1
    assert who(found) == [("security", "change no_git (permissions/rules.yaml:21)")]


def test_rule_without_conditions_must_be_changed(why: Callable[..., Reasons]) -> None:
    found = why(tool="drop")
    assert "only a change of the rule would do" in found.needs[0]
    assert "there is none that could" in found.needs[1]


def test_approvers_could_grant_what_is_asked(why: Callable[..., Reasons]) -> None:
    found = why(tool="send")
    assert found.needs == ("1 of user:bob, user:carol must approve it",)
    assert [name for name, _ in who(found)] == ["user:bob", "user:carol"]


def test_route_without_approvers_is_its_owners_matter(why: Callable[..., Reasons]) -> None:
    found = why(tool="pair", requester="user:bob")
    assert found.needs == ("route 'bobs' must have enough approvers besides the requester",)
    assert who(found) == [("developers", "add approvers for pairs (permissions/rules.yaml:20)")]


def test_unknown_tool_names_who_writes_rules(why: Callable[..., Reasons]) -> None:
    found = why(tool="deploy")
    assert (found.near, found.others) == ((), 0)
    assert found.needs == ("a rule must allow or ask about tool 'deploy': there is none that could",)
    assert who(found) == [("developers", "add a rule in permissions/rules.yaml")]


def test_expired_rule_says_so(why: Callable[..., Reasons]) -> None:
    assert why(tool="past").near[0].clause == "the rule must count still, it expired on 2026-01-01"


def test_guardrail_alone_grants_nothing(why: Callable[..., Reasons]) -> None:
    found = why(tool="watched")
    assert found.near[0].guardrail
    assert "there is none that could" in found.needs[0]


def test_invalid_request_says_why(why: Callable[..., Reasons]) -> None:
    assert "'agent' must be an agent" in why(agent="role:admin").needs[0]


def test_no_argument_value_is_repeated(why: Callable[..., Reasons]) -> None:
    found = why(arguments={"path": "docs/hunter2/.git", "size": "hunter2"}, resource="workspace:hunter2")
    assert "hunter2" not in found.model_dump_json()


def test_many_rules_are_cut(load: Callable[..., Bundle], request_of: Callable[..., AccessRequest]) -> None:
    line = "  - {{id: r{0}, effect: allow, owner: t, agent: agent:a{0}, tool: edit_file}}\n"
    bundle = load("rules:\n" + "".join(line.format(number) for number in range(40)))
    request = request_of()
    found = reasons(bundle, request, decide(bundle, request))
    assert (len(found.near), found.others) == (10, 30)
