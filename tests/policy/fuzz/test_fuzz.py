"""A short run of the fuzzer, and that it would find what it looks for. `make fuzz` runs it for ten minutes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
from policy.fuzz import campaign as running
from policy.fuzz.campaign import Campaign
from policy.fuzz.mutation import Mutator
from policy.fuzz.seeds import policy_files
from policy.fuzz.targets import Targets, dumped
from ruamel.yaml.error import ReusedAnchorWarning

from interlock.errors import PolicyError
from interlock.policy import Bundle, load_bundle
from interlock.policy.compiled import CompiledCondition

INPUTS = 300


@pytest.fixture
def targets(tmp_path: Path) -> Targets:
    warnings.simplefilter("ignore", ReusedAnchorWarning)
    return Targets(tmp_path)


def test_nothing_crashes_loader_conditions_or_decisions(targets):
    campaign = Campaign(targets.all())
    campaign.run(0, inputs=INPUTS)
    for error in campaign.crashes.values():
        raise error
    assert set(campaign.tried.values()) == {INPUTS}


def test_inputs_reach_past_the_first_refusal(targets):
    """Otherwise nothing behind it would ever be tried."""
    loaded = 0
    for number in range(100):
        targets.load(Mutator(number))
        try:
            load_bundle(targets.folder)
        except PolicyError:
            continue
        loaded += 1
    assert 10 <= loaded <= 90


def test_same_number_is_the_same_input():
    files = policy_files()
    for number in range(50):
        one, two = Mutator(number), Mutator(number)
        assert one.bytes(files) == two.bytes(files)
        assert repr(one.tree([1, {"a": [2]}])) == repr(two.tree([1, {"a": [2]}]))
    assert len({Mutator(number).bytes(files) for number in range(50)}) > 40


def test_crash_in_a_condition_is_found(targets, monkeypatch):
    def broken(self, view):
        raise ZeroDivisionError

    monkeypatch.setattr(CompiledCondition, "holds", broken)
    campaign = Campaign({"conditions": targets.condition})
    campaign.run(0, inputs=50)
    (error,) = campaign.crashes.values()
    assert isinstance(error, ZeroDivisionError)
    assert error.__notes__[0].startswith("python -m policy.fuzz --target 'conditions' --only ")


def test_answer_that_is_not_true_or_false_is_found(targets, monkeypatch):
    monkeypatch.setattr(CompiledCondition, "holds", lambda self, view: 1)
    campaign = Campaign({"conditions": targets.condition})
    campaign.run(0, inputs=50)
    (what,) = campaign.crashes
    assert "answers 1" in what


def test_hang_is_broken_off(monkeypatch):
    monkeypatch.setattr(running, "PATIENCE_S", 0.2)

    def endless(mutator: Mutator) -> None:
        while True:
            try:
                sum(range(1000))
            except Exception:
                continue

    campaign = Campaign({"endless": endless})
    campaign.run(0, inputs=1)
    (what,) = campaign.crashes
    assert what.startswith("endless: Hang")


# -- what it found --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["x", "NaN", "1E+999999999", "sNaN", "Infinity", " 1", "1_0", "٣", "9" * 50])
def test_decimal_of_stored_form_is_as_strict(refused, rule, text):
    for key in ("eq", "lt"):
        assert refused(rules=rule(when=f"[{{argument: n, {key}: {{decimal: '{text}'}}}}]"))


@pytest.mark.parametrize("written", ["{decimal: null}", "{decimal: true}", "{decimal: [1]}", "[{decimal: {}}]"])
def test_decimal_of_another_type_is_refused(refused, rule, written):
    assert refused(rules=rule(when=f"[{{argument: n, in: {written}}}]"))


@pytest.mark.parametrize(
    "where", ['id: "\\ud800"', 'note: "\\udfff"', 'when: [{argument: n, eq: "a\\ud83dz"}]', '"\\ud800": 1']
)
def test_half_a_character_is_refused_with_its_line(refused, where):
    problems = refused(rules=f"rules:\n  - id: r\n    effect: deny\n    owner: t\n    {where}\n")
    assert any(":5: " in problem for problem in problems)


@pytest.mark.parametrize(
    "change", [{"sources": 1}, {"sources": {"rules:r": 1}}, {"zones": [["UTC", {"a": 1}]]}, {"zones": 5}]
)
def test_stored_bundle_of_other_types_is_refused(load, rule, change):
    window = "{from: '08:00', to: '09:00', zone: UTC}"
    stored = json.loads(load(rule(when=f"[{{attribute: time, time_between: {window}}}]")).to_bytes())
    with pytest.raises(PolicyError):
        Bundle.from_bytes(dumped({**stored, **change}, canonical=True))


def test_stored_bundle_of_unresolved_references_is_refused(load, rule):
    stored = json.loads(load(rule()).to_bytes())
    with pytest.raises(PolicyError):
        Bundle.from_bytes(dumped({**stored, "sources": {}}, canonical=True))
