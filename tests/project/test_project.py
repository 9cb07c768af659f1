"""The project as a whole: its names, its playbooks, its policy cases."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from interlock.policy import load_bundle, mutate, read_cases, run_cases, uncovered_rules
from interlock.project import check, load_agents, load_workflows

PLAYBOOKS = sorted(
    (next(p for p in Path(__file__).resolve().parents if (p / "agents").is_dir()) / "agents").glob("*.yaml")
)


def test_every_name_leads_somewhere(root: Path) -> None:
    assert [str(problem) for problem in check(root)] == []


def test_policy_decides_every_case_as_written(root: Path) -> None:
    results = run_cases(load_bundle(root / "permissions"), root / "permissions" / "cases")
    assert results
    assert [result.message for result in results if not result.passed] == []


def test_every_rule_decides_some_case(root: Path) -> None:
    bundle = load_bundle(root / "permissions")
    results = run_cases(bundle, root / "permissions" / "cases")
    assert [str(problem) for problem in uncovered_rules(bundle, results)] == []


def test_cases_notice_mistakes_in_rules(root: Path) -> None:
    report = mutate(load_bundle(root / "permissions"), read_cases(root / "permissions" / "cases"))
    assert report.percent >= 95, "\n".join(f"{one}\n{one.case}" for one in report.survivors)


def test_workflows_name_agents_there_are(root: Path) -> None:
    agents = load_agents(root)
    for workflow in load_workflows(root).values():
        assert set(workflow.__interlock_workflow__.agents) <= set(agents)


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.name)
def test_playbook_ends_without_a_call(playbook: Path) -> None:
    turns = YAML(typ="safe").load(playbook)
    assert not turns[-1].get("calls")
    assert turns[-1]["say"]


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.name)
def test_playbook_calls_only_own_tools(root: Path, playbook: Path) -> None:
    agent = load_agents(root)[playbook.name.removesuffix(".playbook.yaml")]
    called = {call["tool"] for turn in YAML(typ="safe").load(playbook) for call in turn.get("calls", ())}
    assert called <= set(agent.tools)
