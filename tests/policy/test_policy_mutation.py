"""Mistakes in a policy: every kind is made, and what no case notices is shown with a case that would."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.errors import PolicyError
from interlock.policy import Bundle, load_bundle, mutate, read_cases, run_cases, uncovered_rules
from interlock.policy.case_text import case_text
from interlock.policy.cases import Case
from interlock.policy.mutants import content_of, mutants

PERMISSIONS = Path(__file__).parents[2] / "permissions"

FULL = """\
rules:
  - id: full
    effect: ask
    owner: team
    tenant: acme
    agent: agent:fixer
    requester: user:alice
    tool: [db.read, edit_file]
    action: write
    resource: workspace:source/**
    route: pair
    guardrail: true
    profile: default
    egress: example.org
    limits: {time_s: 10}
    redact: 'a+'
    notify: user:carol
    expires: 2027-01-31
    when:
      - {argument: path, under: source}
      - {argument: n, le: 5}
  - id: grants
    effect: allow
    owner: team
    agent: agent:*
    tool: '**'
  - id: wall
    effect: deny
    owner: team
    tool: drop_table
routes:
  - {name: pair, approvers: [user:bob, user:carol], quorum: 2, expires_after: 4h}
"""

CASE = """\
cases:
  - name: the fixer edits
    request: {tenant: acme, agent: 'agent:fixer', requester: 'user:alice', tool: edit_file, action: write}
    expect: {verdict: allow, rule: r}
"""


def pasted(folder: Path, name: str, report) -> None:
    (folder / "cases" / f"{name}.yaml").write_text("cases:\n" + "".join(one.case for one in report.survivors))


def test_every_part_of_a_rule_is_mutated(load):
    made = [(m.kind, m.change) for m in mutants(load(FULL)) if m.rules == ("full",)]
    assert [kind for kind, _ in made] == [
        "drop",
        "flip",
        "flip",
        "condition",
        "condition",
        "tenant",
        "agent",
        "requester",
        "tool",
        "action",
        "resource",
        "guardrail",
        "expires",
        "obligation",
        "obligation",
        "obligation",
        "obligation",
        "obligation",
        "quorum",
    ]
    assert ("tool", "for the tools db.**, **") in made
    assert len({change for _, change in made}) == len(made)


def test_mutants_are_policies_that_differ(load):
    bundle = load(FULL)
    digests = [m.applied(content_of(bundle)).digest for m in mutants(bundle)]
    assert len({*digests, bundle.digest}) == len(digests) + 1


def test_pasted_cases_kill_every_survivor(write):
    folder = write(rules=FULL, **{"cases/one": CASE.replace("rule: r", "rule: grants")})
    bundle = load_bundle(folder)
    first = mutate(bundle, read_cases(folder / "cases"))
    assert len(first.survivors) > 10
    assert first.percent < 50
    pasted(folder, "two", first)
    assert [r.message for r in run_cases(bundle, folder / "cases") if not r.passed] == []
    second = mutate(bundle, read_cases(folder / "cases"))
    assert second.survivors == ()
    assert second.percent == 100
    assert second.killed + len(second.alike) == first.killed + len(first.survivors) + len(first.alike)


def test_survivor_names_its_place(load, write, rule):
    bundle = load(rule(profile="default"))
    report = mutate(bundle, read_cases(write(**{"cases/one": CASE}) / "cases"))
    lost = next(one for one in report.survivors if one.change == "without profile")
    assert (lost.rule, lost.source, lost.kind) == ("r", "permissions/rules.yaml:2", "obligation")
    assert "profile: default" in lost.case


def test_mutant_that_nothing_tells_apart_is_counted_apart(load, write, rule):
    wall = rule(id="wall", effect="deny", agent="").replace("rules:\n", "")
    bundle = load(rule() + wall)
    case = CASE.replace("verdict: allow, rule: r", "verdict: deny, rule: wall")
    report = mutate(bundle, read_cases(write(**{"cases/one": case}) / "cases"))
    assert {one.change for one in report.alike if one.rule == "r"} >= {"dropped", "for any agent"}
    assert all(one.case == "" for one in report.alike)
    assert all(one.case for one in report.survivors)


def test_failing_case_is_told_before_any_mutant(load, write, rule):
    bundle = load(rule(effect="deny"))
    with pytest.raises(PolicyError, match="fail already") as caught:
        mutate(bundle, read_cases(write(**{"cases/one": CASE}) / "cases"))
    assert caught.value.problems[0].startswith("permissions/cases/one.yaml:2: the fixer edits: expected allow")


@pytest.mark.parametrize(
    "value",
    [
        "yes",
        "null",
        "1.5",
        "0x1F",
        "a: b",
        "- x",
        "line\nline",
        "tab\t",
        "'",
        '"',
        "#x",
        "",
        " x ",
        "2026-01-01",
        "{}",
    ],
)
def test_case_text_reads_as_it_was(write, value):
    request = {
        "tenant": "acme",
        "agent": "agent:fixer",
        "requester": "user:alice",
        "tool": "edit_file",
        "action": "write",
        "arguments": {"path": value, "more": [value, None, True, 5, {"x": value}]},
        "labels": {"path": []},
        "so_far": [{"tool": "read_ticket", "ago": "2h", "finished_well": False}],
        "usage": {"openai:gpt-5": [1, 2]},
        "time": "2026-03-04T05:06:07Z",
    }
    case = Case.model_validate({"name": "a case", "request": request, "expect": {"verdict": "deny", "egress": []}})
    folder = write(**{"cases/one": "cases:\n" + case_text(case)})
    assert [sourced.case for sourced in read_cases(folder / "cases")] == [case]


def test_reference_cases_notice_every_mistake_that_shows():
    bundle = load_bundle(PERMISSIONS)
    cases = read_cases(PERMISSIONS / "cases")
    report = mutate(bundle, cases)
    assert uncovered_rules(bundle, run_cases(bundle, PERMISSIONS / "cases")) == []
    assert [str(one) for one in report.survivors] == []
    assert report.percent >= 95
    assert report.killed > 80
    assert all(one.kind in ("requester", "condition") for one in report.alike), report.alike


def test_stored_policy_is_mutated_as_well(load):
    bundle = load(FULL)
    again = Bundle.from_bytes(bundle.to_bytes())
    assert [m.change for m in mutants(again)] == [m.change for m in mutants(bundle)]
