"""Requests that tell two policies apart: found where there is one, real, and always the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from interlock.definitions import ToolSchema
from interlock.policy import Bundle, decide, load_bundle, witness
from interlock.policy.cases import CaseRequest
from interlock.policy.fitting import covers, view_of
from interlock.policy.probes import Probes
from interlock.policy.regex_examples import examples
from interlock.policy.universe import Universe, as_case_request
from interlock.policy.witness import compared

WAYS = [
    pytest.param("- {argument: path, under: source}", "- {argument: path, under: [source, docs]}", id="under"),
    pytest.param("- {argument: path, not_under: secret}", "", id="not_under"),
    pytest.param("- {argument: n, le: 5}", "- {argument: n, lt: 5}", id="le"),
    pytest.param("- {argument: n, gt: 10.50}", "- {argument: n, ge: 10.50}", id="decimal"),
    pytest.param("- {argument: n, in: [1, 2, 3]}", "- {argument: n, in: [1, 2]}", id="in"),
    pytest.param("- {argument: mode, ne: fast}", "", id="ne"),
    pytest.param("- {argument: o.mode, eq: fast}", "", id="nested"),
    pytest.param("- {argument: b, eq: true}", "- {argument: b, eq: false}", id="bool"),
    pytest.param("- {argument: url, host_in: .example.org}", "- {argument: url, host_in: example.org}", id="host"),
    pytest.param("- {argument: s, matches: '[A-Z]{3}-[0-9]+'}", "", id="matches"),
    pytest.param("- {argument: s, contains: needle}", "", id="contains"),
    pytest.param("- {argument: s, length_le: 12}", "- {argument: s, length_le: 11}", id="length"),
    pytest.param("- {count: {tool: edit_file}, le: 5}", "- {count: {tool: edit_file}, le: 6}", id="count"),
    pytest.param("- {sum: {tool: pay, argument: amount}, le: 100.00}", "", id="sum"),
    pytest.param("- {preceded_by: read_ticket, eq: true}", "", id="preceded_by"),
    pytest.param("- {attribute: tokens, lt: 1000}", "- {attribute: tokens, le: 1000}", id="tokens"),
    pytest.param("- {attribute: cost, lt: 2.00}", "", id="cost"),
    pytest.param("- {attribute: flow, eq: sink}", "", id="flow"),
    pytest.param("- {attribute: workflow, eq: fix_issue}", "", id="workflow"),
    pytest.param("- {attribute: seen, no_label: secret}", "", id="seen"),
    pytest.param("- {attribute: destination, label: untrusted}", "", id="destination"),
    pytest.param("- {argument: to, no_label: untrusted}", "", id="argument_label"),
    pytest.param(
        "- {attribute: time, time_between: {from: '22:00', to: '06:00', zone: Europe/Berlin, days: [fri]}}",
        "- {attribute: time, time_between: {from: '22:00', to: '06:01', zone: Europe/Berlin, days: [fri]}}",
        id="time",
    ),
]
PRICES = "prices:\n  - {name: 'openai:gpt-5', input: 1.25, output: 10.00}\n"


def rule_when(rule, when: str, **keys: str) -> str:
    return rule(**keys) + (f"    when:\n      {when}\n" if when else "")


@pytest.mark.parametrize(("old", "new"), WAYS)
@pytest.mark.parametrize("effect", ["allow", "deny"])
def test_changed_condition_has_a_witness(load, rule, old, new, effect):
    granted = rule(id="granted").replace("rules:\n", "") if effect == "deny" else ""
    before, after = (load(rule_when(rule, when, effect=effect) + granted, prices=PRICES) for when in (old, new))
    found = witness(before, after)
    assert found is not None
    assert found.differs == "verdict"
    assert decide(before, found.case.as_request(before)).verdict != decide(after, found.request).verdict


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"tenant": "acme"}, {}),
        ({"tool": "db.read"}, {"tool": "db.*"}),
        ({"tool": "db.*"}, {"tool": "db.**"}),
        ({"agent": "agent:reviewer"}, {"agent": "'agent:*'"}),
        ({"requester": "group:developers"}, {}),
        ({"action": "read"}, {}),
        ({"resource": "workspace:source/*"}, {"resource": "workspace:source/**"}),
        ({"expires": "2026-03-01"}, {"expires": "2026-03-02"}),
        ({"effect": "ask", "route": "leads"}, {"effect": "ask", "route": "leads", "guardrail": "true"}),
    ],
)
def test_changed_clause_has_a_witness(load, rule, old, new):
    found = witness(load(rule(**old)), load(rule(**new)))
    assert found is not None
    assert found.differs == "verdict"


def test_lost_obligation_has_a_witness(load, rule):
    found = witness(load(rule(profile="default")), load(rule()))
    assert found is not None
    assert (found.differs, found.before.profile, found.after.profile) == ("terms", "default", "")


def test_equal_policies_have_no_witness(load, rule):
    assert witness(load(rule()), load(rule(note="said otherwise", owner="others"))) is None


def test_shadowed_change_has_no_witness(load, rule):
    wall = rule(id="wall", effect="deny", agent="").replace("rules:\n", "")
    before, after = load(rule() + wall), load(rule(agent="'agent:*'") + wall)
    assert witness(before, after, least="rule") is None
    assert witness(load(rule()), load(rule(agent="'agent:*'"))) is not None


def test_witness_looks_like_a_known_call(load, rule, request_of):
    seed = request_of(arguments={"path": "source/x.py", "old": "a", "new": "b"})
    found = witness(load(rule()), load(rule(effect="deny")), seeds=[seed])
    assert found is not None
    assert found.case == as_case_request(seed)


def test_witness_is_made_from_the_schema(load, rule):
    schema = ToolSchema(
        name="edit_file",
        description="",
        parameters={
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "mode": {"enum": ["append", "replace"]},
                "times": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                "note": {"type": "string"},
            },
            "required": ["path", "mode", "times"],
        },
        result={},
        action="write",
        resource="workspace:{path}",
        workspace="write",
        effects="contained",
        idempotent=False,
        profile="default",
        preview="arguments",
        sentence="",
        flow="sink",
        destination=("path",),
    )
    before = load(rule_when(rule, "- {argument: path, under: source}"))
    found = witness(before, load(rule(id="other")), tools={"edit_file": schema}, least="rule")
    assert found is not None
    assert found.case.resource == f"workspace:{found.case.arguments['path']}"
    assert found.case.arguments["mode"] == "append"
    assert (found.case.flow, found.case.destination) == ("sink", ("path",))


@given(st.from_regex(r"[a-z(|)?*+.{}0-9\[\]^$\\-]{0,24}", fullmatch=True))
def test_examples_of_any_text_are_few_and_short(pattern):
    made = examples(pattern)
    assert len(made) <= 12
    assert all(len(text) <= 1_000_000 for text in made)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?i)(.*/)?(origin)?\.git(modules|attributes)?(/.*)?",
        r"[A-Z]{3}-[0-9]+",
        r"(?s)a.*b",
        r"[^a/]+@\w+\.org",
        "a|b|",
        "(?P<x>ab)+?",
        "x{0,3}y{2}",
    ],
)
def test_examples_match_in_re2(pattern):
    made = examples(pattern)
    assert made
    assert all(re2.fullmatch(pattern, text) for text in made)


def test_reference_rules_are_all_satisfied():
    bundle = load_bundle(Path(__file__).parents[2] / "permissions")
    probes = Probes(bundle, Universe.of((bundle,)))
    for rule in bundle.rules:
        views = [view_of(bundle, request) for request in probes.satisfying(rule)]
        assert any(view is not None and covers(rule, view) for view in views), rule.id


def test_hostile_seed_is_passed_over(load, rule):
    seed = CaseRequest(
        agent="agent:fixer", requester="user:alice", tool="edit_file", action="x", arguments={"n": 1.5}
    )
    before, after = load(rule()), load(rule(effect="deny"))
    assert compared(before, after, seed) is None
    assert witness(before, after, seeds=[seed]) is not None


def test_witness_does_not_depend_on_the_hash_seed(tmp_path, write, rule):
    write(rules=rule(requester="group:developers"))
    script = (
        "import sys; from pathlib import Path; from interlock.policy import load_bundle, witness\n"
        "from interlock.policy.mutants import content_of, mutants\n"
        "b = load_bundle(Path(sys.argv[1]))\n"
        "for m in mutants(b):\n"
        "    print(m.change, getattr(witness(b, m.applied(content_of(b)), least='rule'), 'case', 0))"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "permissions")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]
    assert "dropped" in told[0]


def test_bundles_from_bytes_are_compared_too(load, rule):
    before, after = load(rule()), load(rule(effect="deny"))
    again = witness(Bundle.from_bytes(before.to_bytes()), Bundle.from_bytes(after.to_bytes()))
    first = witness(before, after)
    assert first is not None
    assert again is not None
    assert again.case == first.case
