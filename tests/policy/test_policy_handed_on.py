"""What a sub-agent may do: its own rules, and those of everyone who handed the work on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.digest import digest_of
from interlock.policy import Bundle, Case, SourcedCase, decide, explain, run_case
from interlock.types import AccessRequest, canonical_request

PEOPLE = """\
users:
  - {name: alice, tenants: [acme]}
  - {name: bob, tenants: [acme]}
  - {name: carol, tenants: [acme]}
  - {name: dave, tenants: [acme]}
routes:
  - {name: leads, approvers: [user:bob, user:carol], expires_after: 4h}
  - {name: chiefs, approvers: [user:carol, user:dave], expires_after: 1h}
  - {name: pairs, approvers: [user:bob, user:carol], quorum: 2, expires_after: 8h}
  - {name: others, approvers: [user:dave], expires_after: 4h}
profiles:
  - {name: default}
  - {name: narrow}
"""
RULES = """\
rules:
  - {id: all_read, effect: allow, owner: team, agent: 'agent:*', tool: read}
  - {id: child_writes, effect: allow, owner: team, agent: agent:child, tool: write}
  - {id: parent_asks, effect: ask, owner: team, agent: agent:parent, tool: write, route: leads}
  - {id: root_asks, effect: ask, owner: team, agent: agent:root, tool: write, route: chiefs}
  - {id: child_sends, effect: allow, owner: team, agent: agent:child, tool: send}
  - {id: parent_may_not_send, effect: deny, owner: team, note: no, agent: agent:parent, tool: send}
  - {id: child_lists, effect: allow, owner: team, agent: agent:child, tool: list, limits: {time_s: 9, pids: 32},
     redact: [b, a], notify: [user:bob], profile: narrow}
  - {id: parent_lists, effect: allow, owner: team, agent: agent:parent, tool: list, limits: {time_s: 5},
     redact: [a, c], notify: [user:alice], profile: narrow}
  - {id: root_lists, effect: allow, owner: team, agent: agent:root, tool: list}
  - {id: child_fetches, effect: allow, owner: team, agent: agent:child, tool: fetch,
     egress: [a.example.org, b.example.org]}
  - {id: parent_fetches, effect: allow, owner: team, agent: agent:parent, tool: fetch,
     egress: [b.example.org, c.example.org]}
  - {id: root_fetches, effect: allow, owner: team, agent: agent:root, tool: fetch, egress: [d.example.org]}
  - {id: child_asks, effect: ask, owner: team, agent: agent:child, tool: pay, route: leads}
  - {id: parent_pays, effect: ask, owner: team, agent: agent:parent, tool: pay, route: pairs}
  - {id: root_pays, effect: ask, owner: team, agent: agent:root, tool: pay, route: others}
"""
TOOLS = ("read", "write", "send", "list", "fetch", "pay", "unknown")
AGENTS = ("agent:child", "agent:parent", "agent:root", "agent:nobody")
STRICT = ("deny", "ask", "allow")


@pytest.fixture
def bundle(load: Callable[..., Bundle]) -> Bundle:
    return load(RULES, people=PEOPLE)


def request(tool: str, *delegators: str, agent: str = "agent:child", **more: Any) -> AccessRequest:
    return AccessRequest(
        tenant="acme",
        agent=agent,
        delegators=delegators,
        requester="user:alice",
        tool=tool,
        action="read",
        resource=f"tool:{tool}",
        arguments={},
        run="r",
        workflow="",
        time=datetime(2026, 1, 5, tzinfo=UTC),
        **more,
    )


def test_delegators_denial_denies_call(bundle: Bundle) -> None:
    own, handed_on = decide(bundle, request("send")), decide(bundle, request("send", "agent:parent"))
    assert (own.verdict, handed_on.verdict, handed_on.rule) == ("allow", "deny", "parent_may_not_send")
    assert "'agent:parent' handed this work on and may not make this call itself" in handed_on.reason


def test_delegator_without_rule_denies_call(bundle: Bundle) -> None:
    decision = decide(bundle, request("write", "agent:nobody"))
    assert (decision.verdict, decision.rule) == ("deny", "")
    assert decision.nearest is not None


def test_outermost_delegator_counts_too(bundle: Bundle) -> None:
    assert decide(bundle, request("send", "agent:parent", "agent:child")).verdict == "deny"


def test_delegators_question_is_asked(bundle: Bundle) -> None:
    decision = decide(bundle, request("write", "agent:parent"))
    assert (decision.verdict, decision.rule) == ("ask", "parent_asks")
    assert decision.route is not None
    assert decision.route.approvers == ("user:bob", "user:carol")


def test_only_people_of_both_routes_approve(bundle: Bundle) -> None:
    route = decide(bundle, request("write", "agent:root", "agent:parent")).route
    assert route is not None
    assert (route.approvers, route.quorum, route.expires_after_s) == (("user:carol",), 1, 3600)


def test_higher_quorum_counts(bundle: Bundle) -> None:
    route = decide(bundle, request("pay", "agent:parent")).route
    assert route is not None
    assert (route.quorum, route.expires_after_s) == (2, 4 * 3600)


def test_routes_without_common_people_deny(bundle: Bundle) -> None:
    decision = decide(bundle, request("pay", "agent:root"))
    assert (decision.verdict, decision.route) == ("deny", None)
    assert "'leads' and 'others' share 0 people" in decision.reason


def test_obligations_of_all_count(bundle: Bundle) -> None:
    found = decide(bundle, request("list", "agent:parent"))
    obliged = found.obligations
    assert obliged.limits is not None
    assert obliged.limits.model_dump(exclude_none=True) == {"time_s": 5, "pids": 32}
    assert set(obliged.redact) == {"a", "b", "c"}
    assert obliged.notify == ("user:alice", "user:bob")
    assert found.profile == "narrow"


def test_other_profile_of_delegator_denies(bundle: Bundle) -> None:
    decision = decide(bundle, request("list", "agent:root"))
    assert decision.verdict == "deny"
    assert "different profiles" in decision.reason


def test_egress_is_what_all_grant(bundle: Bundle) -> None:
    hosts = [rule.host for rule in decide(bundle, request("fetch", "agent:parent")).obligations.egress]
    assert hosts == ["b.example.org"]


def test_no_common_egress_denies(bundle: Bundle) -> None:
    decision = decide(bundle, request("fetch", "agent:root"))
    assert decision.verdict == "deny"
    assert "share no egress" in decision.reason


def test_decision_names_whole_request(bundle: Bundle) -> None:
    whole = request("read", "agent:parent")
    assert decide(bundle, whole).request == digest_of(canonical_request(whole))
    assert decide(bundle, whole).request != decide(bundle, request("read")).request


def test_request_without_delegators_keeps_digest(bundle: Bundle) -> None:
    assert "delegators" not in canonical_request(request("read"))


def test_person_as_delegator_denies(bundle: Bundle) -> None:
    assert decide(bundle, request("read", "user:alice")).verdict == "deny"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tool=st.sampled_from(TOOLS), agent=st.sampled_from(AGENTS), chain=st.lists(st.sampled_from(AGENTS), max_size=4)
)
def test_delegating_never_widens(bundle: Bundle, tool: str, agent: str, chain: list[str]) -> None:
    decision = decide(bundle, request(tool, *chain, agent=agent))
    alone = [decide(bundle, request(tool, agent=one)).verdict for one in (agent, *chain)]
    assert STRICT.index(decision.verdict) <= min(STRICT.index(verdict) for verdict in alone)


def test_explanation_names_deciding_subject(bundle: Bundle) -> None:
    found = explain(bundle, request("send", "agent:parent"))
    assert (found.subject, found.decision.verdict) == ("agent:parent", "deny")
    assert found.deciding is not None
    assert found.deciding.rule == "parent_may_not_send"


def test_case_states_delegators(bundle: Bundle) -> None:
    asked = {"tenant": "acme", "agent": "agent:child", "requester": "user:alice", "tool": "send", "action": "read"}
    case = Case.model_validate(
        {
            "name": "a child may not send for its parent",
            "request": {**asked, "delegators": ["agent:parent"]},
            "expect": {"verdict": "deny", "rule": "parent_may_not_send"},
        }
    )
    assert run_case(bundle, SourcedCase("x:1", case)).passed
