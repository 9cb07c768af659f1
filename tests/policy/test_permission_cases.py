"""Permission cases; and those of the reference project, which cover every rule."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from interlock.errors import PolicyError
from interlock.policy import Bundle, load_bundle, run_cases, schema, uncovered_rules

PERMISSIONS = Path(__file__).parents[2] / "permissions"

CASE = """\
cases:
  - name: the fixer edits
    request: {tenant: acme, agent: 'agent:fixer', requester: 'user:alice', tool: edit_file, action: write}
    expect: {verdict: allow, rule: r}
"""


def cases(write, text: str) -> Path:
    return write(**{"cases/one": text}) / "cases"


def test_reference_cases_pass_and_cover_every_rule():
    bundle = load_bundle(PERMISSIONS)
    results = run_cases(bundle, PERMISSIONS / "cases")
    assert [result.message for result in results if not result.passed] == []
    assert uncovered_rules(bundle, results) == []


def test_dropping_any_reference_rule_fails_a_case():
    bundle = load_bundle(PERMISSIONS)
    for rule in bundle.rules:
        value = json.loads(bundle.to_bytes())
        value["rules"] = [entry for entry in value["rules"] if entry["id"] != rule.id]
        del value["sources"][f"rules:{rule.id}"]
        from interlock.digest import canonical

        without = Bundle.from_bytes(canonical(value))
        results = run_cases(without, PERMISSIONS / "cases")
        assert any(not result.passed for result in results), rule.id


def test_failing_case_says_what_was_decided(write, load, rule):
    bundle = load(rule(effect="deny"))
    (result,) = run_cases(bundle, cases(write, CASE))
    assert not result.passed
    assert result.source == "permissions/cases/one.yaml:2"
    assert result.message.startswith("expected allow by rule 'r', got deny by rule 'r': Rule 'r' of team denies")
    assert [str(p) for p in uncovered_rules(bundle, [result])] == [
        "permissions/rules.yaml:2: rule 'r' decides no case"
    ]


def test_passing_case_covers_its_rule(write, load, rule):
    bundle = load(rule())
    results = run_cases(bundle, cases(write, CASE))
    assert (results[0].passed, results[0].message) == (True, "")
    assert uncovered_rules(bundle, results) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cases: []\n", "no case here"),
        ("case: []\n", "permissions/cases/one.yaml:1: unknown key 'case' (did you mean 'cases'?)"),
        (
            CASE.replace("verdict: allow", "verdict: alow"),
            "one.yaml:4: case 'the fixer edits': 'expect.verdict' must be",
        ),
        (CASE.replace("tenant: acme", "tenant: '*'"), "one.yaml:3: case 'the fixer edits': 'request.tenant'"),
        (CASE.replace("expect", "expects"), "unknown key 'expects' (did you mean 'expect'?)"),
        (CASE + CASE.split("\n", 1)[1], "one.yaml:5: case 'the fixer edits' is there twice"),
    ],
)
def test_wrong_case_is_refused(write, load, rule, text, problem):
    bundle = load(rule())
    with pytest.raises(PolicyError) as caught:
        run_cases(bundle, cases(write, text))
    assert any(problem in found for found in caught.value.problems), caught.value.problems


@pytest.mark.parametrize(("kind", "path"), [("policy", "policy.schema.json"), ("cases", "cases/cases.schema.json")])
def test_published_schema_is_the_models(kind, path):
    assert json.loads((PERMISSIONS / path).read_text()) == schema(kind)


def test_schema_takes_the_reference_files_and_no_typo():
    for path in PERMISSIONS.rglob("*.yaml"):
        kind = "cases" if path.parent.name == "cases" else "policy"
        value = json.loads(json.dumps(YAML(typ="safe", pure=True).load(path.read_text()), default=str))
        jsonschema.validate(value, schema(kind))
    for wrong in (
        {"ruels": []},
        {"rules": [{"id": "a", "efect": "allow"}]},
        {"rules": [{"id": "a", "owner": "x"}]},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema())
