"""What a change of the policy does: each entry that differs, with requests that show it."""

from __future__ import annotations

from interlock.policy import decide, policy_changes

PEOPLE = """\
users:
  - {name: alice, tenants: [acme]}
  - {name: bob, tenants: [acme]}
  - {name: carol, tenants: [acme, other]}
groups:
  - {name: developers, members: [user:alice, user:bob]}
routes:
  - {name: leads, approvers: [group:developers, user:carol], expires_after: 4h}
profiles:
  - {name: default}
"""


def told(changes):
    return {
        (c.section, c.name, c.kind): sorted((w.before.verdict, w.after.verdict) for w in c.witnesses)
        for c in changes
    }


def test_same_policy_has_no_change(load, rule):
    assert policy_changes(load(rule()), load(rule())) == []
    assert policy_changes(load(rule()), load(rule(note="reworded", owner="others", ticket="X-1"))) == []


def test_added_and_removed_rules_are_shown(load, rule):
    nothing, one = load(), load(rule())
    assert told(policy_changes(nothing, one)) == {("rules", "r", "added"): [("deny", "allow")]}
    assert told(policy_changes(one, nothing)) == {("rules", "r", "removed"): [("allow", "deny")]}


def test_moved_rule_allows_and_denies(load, rule):
    (change,) = policy_changes(load(rule(agent="agent:fixer")), load(rule(agent="agent:triage")))
    assert change.fields == ("agent: agent:fixer → agent:triage",)
    assert change.source == "permissions/rules.yaml:2"
    assert sorted((w.before.verdict, w.after.verdict) for w in change.witnesses) == [
        ("allow", "deny"),
        ("deny", "allow"),
    ]


def test_witnesses_are_decided_as_they_say(load, rule):
    before, after = load(rule()), load(rule(effect="ask", route="leads"))
    (change,) = policy_changes(before, after)
    for witness in change.witnesses:
        assert decide(before, witness.case.as_request(before)) == witness.before
        assert decide(after, witness.case.as_request(after)) == witness.after


def test_each_rule_shows_its_own_effect(load, rule):
    second = rule(id="s", tool="run_tests").replace("rules:\n", "")
    third = rule(id="s", tool="run_tests", agent="agent:triage").replace("rules:\n", "")
    changes = policy_changes(load(rule() + second), load(rule(tool="'**'") + third))
    own = {change.name: {w.case.tool for w in change.witnesses} for change in changes}
    assert "run_tests" in own["s"]
    assert own["r"].isdisjoint({"edit_file"})


def test_widening_that_needs_two_changes_is_told(load, rule):
    wall = rule(id="wall", effect="deny", agent="").replace("rules:\n", "")
    changes = policy_changes(load("rules:\n" + wall), load(rule()))
    assert ("deny", "allow") in told(changes)["rules", "r", "added"]


def test_quorum_shows_as_other_terms(load, rule):
    asks = rule(effect="ask", route="leads")
    before = load(asks, people=PEOPLE)
    after = load(asks, people=PEOPLE.replace("expires_after", "quorum: 2, expires_after"))
    (change,) = policy_changes(before, after)
    assert (change.section, change.name, change.fields) == ("routes", "leads", ("quorum: 1 → 2",))
    assert [w.differs for w in change.witnesses][:1] == ["terms"]


def test_person_who_joins_is_shown_with_the_route(load, rule):
    rules = rule(requester="group:developers") + rule(id="s", tool="send", effect="ask", route="leads").replace(
        "rules:\n", ""
    )
    joined = PEOPLE.replace("[user:alice, user:bob]", "[user:alice, user:bob, user:carol]")
    changes = policy_changes(load(rules, people=PEOPLE), load(rules, people=joined))
    assert told(changes) == {("people", "user:carol", "changed"): [("deny", "allow")]}
    left = PEOPLE.replace("[user:alice, user:bob]", "[user:alice]")
    changes = policy_changes(load(rules, people=PEOPLE), load(rules, people=left))
    assert ("ask", "ask") in told(changes)["routes", "leads", "affected"]
    assert told(changes)["people", "user:bob", "changed"] == [("allow", "deny")]


def test_person_in_a_new_tenant_is_shown_there(load, rule):
    moved = PEOPLE.replace("{name: alice, tenants: [acme]}", "{name: alice, tenants: [acme, other]}")
    (change,) = policy_changes(load(rule(), people=PEOPLE), load(rule(), people=moved))
    assert (change.name, change.fields) == ("user:alice", ("tenants: acme → acme, other",))
    (witness,) = change.witnesses
    assert (witness.case.tenant, witness.after.verdict) == ("other", "allow")


def test_larger_profile_counts_as_looser(load, rule):
    larger = PEOPLE.replace("{name: default}", "{name: default, memory_mib: 4096}")
    (grown,) = policy_changes(load(rule(), people=PEOPLE), load(rule(), people=larger))
    (shrunk,) = policy_changes(load(rule(), people=larger), load(rule(), people=PEOPLE))
    assert (grown.section, grown.looser, shrunk.looser) == ("profiles", True, False)


def test_change_that_shows_nowhere_is_listed(load, rule):
    wall = rule(id="wall", effect="deny", agent="").replace("rules:\n", "")
    (change,) = policy_changes(load(rule() + wall), load(rule(agent="'agent:*'") + wall))
    assert (change.name, change.witnesses) == ("r", ())
