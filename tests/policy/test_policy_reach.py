"""Who may do what is read off the rules, and agrees with what is decided."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from itertools import product

import pytest

from interlock.errors import InvalidInput
from interlock.policy import Bundle, decide
from interlock.policy.reach import Reach, can, stated, who
from interlock.policy.survey import Survey

PEOPLE = """\
users:
  - {name: alice, tenants: [acme]}
  - {name: bob, tenants: [acme]}
  - {name: carol, tenants: [acme, other]}
  - {name: zoe, tenants: [other]}
groups:
  - {name: developers, members: [user:alice, user:bob]}
  - {name: bots, members: [agent:fixer, agent:helper]}
roles:
  - {name: lead, members: [user:carol]}
routes:
  - {name: leads, approvers: [user:bob, user:carol], expires_after: 4h}
profiles:
  - {name: default}
"""
RULES = """\
rules:
  - {id: reads, effect: allow, owner: t, agent: 'group:bots', requester: 'group:developers', tool: [read, 'log.*']}
  - id: writes
    effect: allow
    owner: t
    agent: agent:fixer
    tool: write
    action: write
    resource: workspace:source/**
    when: [{argument: path, under: source}, {argument: size, le: 10}]
  - {id: sends, effect: ask, owner: t, agent: 'agent:*', requester: 'role:lead', tool: send, route: leads}
  - {id: no_send, effect: deny, owner: s, tool: send, when: [{argument: to, not_in: [a, b]}]}
  - {id: drops, effect: allow, owner: t, agent: agent:fixer, tool: drop}
  - {id: no_drop, effect: deny, owner: s, tool: drop}
  - {id: old, effect: allow, owner: t, agent: agent:fixer, tool: old, expires: 2026-01-05}
  - {id: elsewhere, effect: allow, owner: t, agent: agent:fixer, tool: far, tenant: other}
  - {id: pays, effect: allow, owner: t, agent: agent:fixer, tool: pay}
  - {id: watch, effect: ask, owner: s, agent: 'agent:*', tool: pay, route: leads, guardrail: true}
  - {id: alone, effect: ask, owner: s, agent: 'agent:*', tool: alone, route: leads, guardrail: true}
"""
DAY = date(2026, 1, 5)


@pytest.fixture
def survey(load: Callable[..., Bundle]) -> Survey:
    return Survey(load(RULES, people=PEOPLE), "acme", DAY, project_tools={"log.app": "read", "write": "write"})


def by_tool(found: tuple[Reach, ...]) -> dict[str, Reach]:
    return {one.tool: one for one in found}


def test_agent_is_told_by_tool(survey: Survey) -> None:
    found = by_tool(can(survey, "agent:fixer"))
    verdicts = {tool: one.verdict for tool, one in found.items()}
    assert verdicts == {
        "read": "allow", "log.app": "allow", "write": "allow", "send": "ask", "drop": "deny", "pay": "ask",
    }  # fmt: skip


def test_conditions_are_told_in_words(survey: Survey) -> None:
    (rule,) = by_tool(can(survey, "agent:fixer"))["write"].rules
    assert rule.conditions == (
        "resource is workspace:source/**",
        "arguments.path is under 'source'",
        "arguments.size is at most 10",
    )
    assert rule.source == "permissions/rules.yaml:3"


def test_unknown_action_is_a_condition(survey: Survey, load: Callable[..., Bundle]) -> None:
    (rule,) = by_tool(can(Survey(survey.bundle, "acme", DAY), "agent:fixer"))["write"].rules
    assert "action is write" in rule.conditions


def test_deny_that_cuts_in_comes_first(survey: Survey) -> None:
    rules = by_tool(can(survey, "agent:fixer"))["send"].rules
    assert [(rule.rule, rule.effect) for rule in rules] == [("no_send", "deny"), ("sends", "ask")]
    assert rules[0].conditions == ("arguments.to is none of 'a', 'b'",)
    assert rules[1].people == ("user:carol",)


def test_outright_deny_overrules(survey: Survey) -> None:
    one = by_tool(can(survey, "agent:fixer"))["drop"]
    assert (one.verdict, one.people) == ("deny", ())
    assert [(rule.rule, rule.overruled_by) for rule in one.rules] == [("no_drop", ""), ("drops", "no_drop")]


def test_guardrail_makes_allow_ask_and_grants_nothing(survey: Survey) -> None:
    found = by_tool(can(survey, "agent:fixer"))
    assert (found["pay"].verdict, found["pay"].rules[1].overruled_by) == ("ask", "watch")
    assert "alone" not in found
    assert who(survey, "alone") == ()


def test_expired_and_foreign_rules_do_not_count(survey: Survey) -> None:
    assert not {"old", "far"} & by_tool(can(survey, "agent:fixer")).keys()
    before = Survey(survey.bundle, "acme", date(2026, 1, 4))
    assert "old" in by_tool(can(before, "agent:fixer"))
    assert "far" in by_tool(can(Survey(survey.bundle, "other", DAY), "agent:fixer"))


def test_person_reaches_through_agents(survey: Survey) -> None:
    found = can(survey, "user:bob")
    assert {(one.agent, one.tool) for one in found if one.tool == "read"} == {
        ("agent:fixer", "read"), ("agent:helper", "read"),
    }  # fmt: skip
    assert {one.people for one in found if one.verdict != "deny"} == {("user:bob",)}
    assert "send" not in by_tool(found)


def test_role_is_its_members(survey: Survey) -> None:
    assert by_tool(can(survey, "role:lead"))["send"].people == ("user:carol",)
    assert {one.agent for one in can(survey, "group:bots")} == {"agent:fixer", "agent:helper"}


def test_agent_for_one_person(survey: Survey) -> None:
    assert "read" not in by_tool(can(survey, "agent:fixer", requester="user:carol"))
    assert by_tool(can(survey, "agent:fixer", requester="user:carol"))["write"].people == ("user:carol",)


def test_tool_asked_about_is_told_though_denied(survey: Survey) -> None:
    (one,) = can(survey, "agent:helper", tool="write")
    assert (one.verdict, one.rules) == ("deny", ())


def test_who_may_call_a_tool(survey: Survey) -> None:
    assert [(one.agent, one.verdict, one.people) for one in who(survey, "read")] == [
        ("agent:fixer", "allow", ("user:alice", "user:bob")),
        ("agent:helper", "allow", ("user:alice", "user:bob")),
    ]
    assert who(survey, "write", action="read") == ()
    assert [one.agent for one in who(survey, "log.never_seen")] == ["agent:fixer", "agent:helper"]


@pytest.mark.parametrize(
    ("subject", "options", "said"),
    [
        ("agent:fixr", {}, "did you mean 'agent:fixer'"),
        ("user:zed", {}, "user:zed"),
        ("fixer", {}, "knows no 'fixer'"),
        ("agent:fixer", {"requester": "user:zoe"}, "unknown user 'user:zoe' in tenant 'acme'"),
        ("\x1b[31m", {}, "knows no"),
    ],
)
def test_unknown_names_are_refused(survey: Survey, subject: str, options: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        can(survey, subject, **options)


def test_policy_without_agents_speaks_of_all(load: Callable[..., Bundle]) -> None:
    bundle = load("rules:\n  - {id: r, effect: allow, owner: t, agent: 'agent:*', tool: 'db.*'}\n")
    (one,) = can(Survey(bundle, "acme", DAY), "agent:*")
    assert (one.agent, one.tool, one.verdict) == ("agent:*", "db.*", "allow")


def test_reach_agrees_with_decisions(survey: Survey, request_of: Callable[..., object]) -> None:
    """Whoever is denied for lack of a covering rule is not told to reach the tool, and the other way round."""
    known = ("user:alice", "user:bob", "user:carol", "user:zoe", "user:nobody")
    for agent, person, tool in product(
        survey.agents, known, ("read", "send", "drop", "pay", "far", "alone", "old")
    ):
        asked = request_of(agent=agent, requester=person, tool=tool, action="act", arguments={"to": "a"})
        verdict = decide(survey.bundle, asked).verdict
        reached = {p: one.verdict for one in who(survey, tool) if one.agent == agent for p in one.people}
        # Bob would have to approve his own call; that is a matter of the route, not of the rules' reach.
        assert reached.get(person, "deny") == verdict, (agent, person, tool)


def test_statement_keeps_operands_as_they_are() -> None:
    assert stated("arguments.a must be one of 'x must be y'") == "arguments.a is one of 'x must be y'"
    assert stated("destination must not come from data labelled 'untrusted'") == (
        "destination does not come from data labelled 'untrusted'"
    )
