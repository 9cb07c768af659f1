"""permissions/ is loaded whole, or refused with every problem by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.errors import PolicyError
from interlock.policy import load_bundle


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"efect": "allow"}, "unknown key 'efect' (did you mean 'effect'?)"),
        ({"effect": "Deny"}, "'effect' must be 'allow', 'ask' or 'deny', not 'Deny' (did you mean 'deny'?)"),
        ({"effect": "permit"}, "'effect' must be"),
        ({"owner": ""}, "'owner' is missing"),
        ({"owner": "'a\\u202eb'"}, None),
        ({"owner": '"a\\u202eb"'}, "must be one line of printable characters"),
        ({"agent": ""}, "a rule that can allow needs 'agent'"),
        ({"tool": ""}, "a rule that can allow needs 'tool'"),
        ({"agent": "fixer"}, "'fixer' must look like 'agent:NAME'"),
        ({"agent": "user:alice"}, "'user:alice' must look like 'agent:NAME'"),
        ({"agent": "role:fixers"}, "unknown role 'role:fixers'"),
        ({"requester": "user:alcie"}, "unknown user 'user:alcie' (did you mean 'alice'?)"),
        ({"requester": "group:developer"}, "unknown group 'group:developer' (did you mean 'developers'?)"),
        ({"requester": "null"}, "'requester' is empty"),
        ({"requester": "[]"}, "'requester'"),
        ({"tenant": "ac*"}, "must be one tenant's name, or '*'"),
        ({"tool": "edit_*"}, "never for part of one"),
        ({"tool": "'**.edit'"}, "'**' may only be the last segment"),
        ({"tool": "Edit"}, "must be a lower-case name"),
        ({"tool": "[edit_file, edit_file]"}, "'edit_file' is given twice"),
        ({"action": "Write"}, "must be an action's name"),
        ({"resource": "source/x.py"}, "must look like 'workspace:source/**'"),
        ({"resource": "workspace:../x"}, "'..' segment"),
        ({"resource": "workspace:src*/x"}, "never for part of one"),
        ({"route": "leads"}, "'route' is needed by a rule that asks, and by no other"),
        ({"effect": "ask"}, "'route' is needed by a rule that asks"),
        ({"effect": "ask", "route": "lead"}, "unknown route 'lead' (did you mean 'leads'?)"),
        ({"profile": "defualt"}, "unknown profile 'defualt' (did you mean 'default'?)"),
        ({"effect": "deny", "profile": "default"}, "'profile' has no meaning in a rule that denies"),
        ({"id": "Bad Id"}, "does not have the form"),
        ({"when": "[{argument: path, undr: source}]"}, "unknown key 'undr' (did you mean 'under'?)"),
        ({"when": "[{argument: path}]"}, "exactly one operator, found none"),
        ({"when": "[{argument: path, eq: a, ne: b}]"}, "exactly one operator, found eq, ne"),
        ({"when": "[{eq: a}]"}, "exactly one address"),
        ({"when": "[{argument: a, attribute: run, eq: a}]"}, "exactly one address"),
        ({"when": "[{argument: 'a b', eq: a}]"}, "does not have the form"),
        ({"when": "[{attribute: clock, eq: a}]"}, "'when.0.attribute' must be"),
        ({"when": "[{argument: n, lt: '5'}]"}, "must be a number such as 10 or 10.50, not text"),
        ({"when": "[{argument: n, lt: true}]"}, "must be a number such as 10 or 10.50, not true or false"),
        ({"when": "[{argument: n, lt: .nan}]"}, "'.nan' is not a plain value"),
        ({"when": "[{argument: n, lt: 1e3}]"}, "is not a plain value"),
        ({"when": "[{argument: n, lt: 0x10}]"}, "is not a plain value"),
        ({"when": "[{argument: path, under: ../x}]"}, "'..' segment; no request could match it"),
        ({"when": "[{argument: path, under: source/}]"}, "an empty, '.' or '..' segment"),
        ({"when": "[{argument: url, host_in: 10.0.0.1}]"}, "it is not a host name"),
        ({"when": "[{argument: url, host_in: 'https://example.org'}]"}, "write the bare host"),
        ({"when": "[{argument: a, matches: '(a'}]"}, "is not a pattern that RE2 takes: missing )"),
        ({"when": "[{argument: a, matches: '(?=a)b'}]"}, "is not a pattern that RE2 takes"),
        ({"when": "[{argument: a, length_le: -1}]"}, "greater than or equal to 0"),
        ({"when": "[{argument: a, in: []}]"}, "'when.0.in'"),
        ({"when": "[{attribute: time, eq: now}]"}, "goes with the operator 'time_between'"),
        ({"when": "[{attribute: time, time_between: null}]"}, "goes with the operator 'time_between'"),
        (
            {"when": "[{attribute: time, time_between: {from: '09:00', to: '17:00', zone: Europe/Berln}}]"},
            "unknown time zone 'Europe/Berln' (did you mean 'Europe/Berlin'?)",
        ),
        (
            {"when": "[{attribute: time, time_between: {from: '9', to: '17:00', zone: UTC}}]"},
            "does not have the form",
        ),
    ],
)
def test_wrong_rule_is_refused_with_its_line(refused, load, rule, change, message):
    text = rule(**change)
    if message is None:
        assert load(text)
        return
    problems = refused(rules=text)
    assert any(message in problem for problem in problems), problems
    assert all(problem.startswith("permissions/rules.yaml:") for problem in problems)
    lines = text.count("\n")
    assert all(2 <= int(problem.split(":")[1]) <= lines for problem in problems)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rules: [}\n", "not YAML"),
        ("rules: {a: 1}\n", "permissions/extra.yaml:1: 'rules' must be a list"),
        ("- a\n", "permissions/extra.yaml:1: must be a mapping"),
        ("\nruels: []\n", "permissions/extra.yaml:2: unknown key 'ruels' (did you mean 'rules'?)"),
        ("groups: []\ngroups: []\n", "permissions/extra.yaml:2: key 'groups' is given twice, first at line 1"),
        ("users:\n  - &a {name: eve, tenants: t}\n", "permissions/extra.yaml:2: anchors and aliases"),
        ("users:\n  - {<<: {name: eve}, tenants: t}\n", "permissions/extra.yaml:2: a key must be text"),
        ("users: !!python/object:os.system []\n", "permissions/extra.yaml:1: tag"),
        ("users: []\n---\nusers: []\n", "not YAML"),
        ("users:\n  - {name: 5, tenants: t}\n", "'name' must be a valid string, not 5"),
        (
            "users:\n  - {name: alice, tenants: t}\n",
            "user 'alice' is defined twice, first at permissions/extra.yaml:2",
        ),
        ("groups:\n  - {name: g, members: group:h}\n", "group 'g': unknown group 'group:h'"),
        (
            "groups:\n  - {name: g, members: role:h}\nroles:\n  - {name: h, members: group:g}\n",
            "group 'g': group:g and role:h contain each other: a cycle",
        ),
        ("groups:\n  - {name: g, members: group:g}\n", "group:g contain each other: a cycle"),
        ("routes:\n  - {name: r, approvers: user:bob, expires_after: 4}\n", "'expires_after'"),
        (
            "routes:\n  - {name: r, approvers: user:bob, expires_after: 4 hours}\n",
            "must be a duration such as '90s'",
        ),
        ("routes:\n  - {name: r, approvers: user:bob, expires_after: 400d}\n", "at most 365 days"),
        ("routes:\n  - {name: r, approvers: user:bob, expires_after: 4h, quorum: 0}\n", "'quorum'"),
        ("routes:\n  - {name: r, approvers: user:bob, expires_after: 4h, quorum: true}\n", "'quorum'"),
        ("routes:\n  - {name: r, approvers: agent:a, expires_after: 4h}\n", "must look like 'user:NAME'"),
        (
            "groups:\n  - {name: g, members: agent:a}\n"
            "routes:\n  - {name: r, approvers: group:g, expires_after: 4h}\n",
            "'agent:a' would approve: only people approve",
        ),
        ("profiles:\n  - {name: p, memory_mib: '512'}\n", "'memory_mib' must be a valid integer"),
        ("profiles:\n  - {name: p, pids: true}\n", "'pids'"),
        ("profiles:\n  - {name: p, memory_mb: 512}\n", "unknown key 'memory_mb' (did you mean 'memory_mib'?)"),
        ("profiles:\n  - {name: p, cpus: 0.0}\n", "'cpus' must be greater than 0"),
    ],
)
def test_wrong_file_is_refused_whole(refused, text, problem):
    problems = refused(extra=text)
    assert any(problem in found for found in problems), problems


def test_all_problems_are_told_at_once(refused, rule):
    problems = refused(
        rules=rule(effect="permit", tool="Edit"),
        teams="groups:\n  - {name: g, members: user:nobody}\nruels: []\n",
    )
    places = [problem.split(": ")[0] for problem in problems]
    assert places == [
        "permissions/rules.yaml:3",
        "permissions/rules.yaml:6",
        "permissions/teams.yaml:2",
        "permissions/teams.yaml:3",
    ]


def test_broken_entry_is_not_also_unknown(refused, rule):
    problems = refused(
        rules=rule(requester="group:ops"), teams="groups:\n  - {name: ops, members: user:alice, onwer: x}\n"
    )
    assert len(problems) == 1
    assert "unknown key 'onwer'" in problems[0]


@pytest.mark.parametrize("name", ["grants.yml", "policy.csv", "model.conf", "teams/more.json"])
def test_file_that_would_be_ignored_is_refused(write, name):
    folder = write()
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("rules: []\n")
    with pytest.raises(PolicyError, match="would not be read"):
        load_bundle(folder)


def test_folders_below_are_read_and_notes_are_not(write, rule):
    folder = write(**{"teams/fixer": rule()})
    (folder / "README.md").write_text("# Words")
    (folder / ".rules.yaml.swp").write_bytes(b"\x00")
    (folder / "cases").mkdir()
    (folder / "cases" / "x.yaml").write_text("cases: []")
    assert [r.source for r in load_bundle(folder).rules] == ["permissions/teams/fixer.yaml:2"]


def test_missing_folder_is_refused(tmp_path: Path):
    with pytest.raises(PolicyError, match="no policy file"):
        load_bundle(tmp_path / "permissions")


def test_linked_folder_is_refused(write, tmp_path: Path):
    folder = write()
    (tmp_path / "elsewhere").mkdir()
    (folder / "teams").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PolicyError, match="a linked folder is not read"):
        load_bundle(folder)


@pytest.mark.parametrize("text", ["", "\n", "# guardrails come here\n", "---\n", "~\n", "null"])
def test_file_that_holds_nothing_is_refused(refused, text):
    """A truncated file of guardrails must not mean that there are none."""
    (problem,) = refused(guardrails=text)
    assert problem.startswith("permissions/guardrails.yaml:")
    assert problem.endswith(": holds nothing: delete it, or write 'rules: []'")
