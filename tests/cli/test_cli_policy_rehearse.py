"""`policy can, who, impact, shadow, suggest, explain` on a copy of the reference project with recorded calls."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.decided import question, record

from interlock.audit import Ledger, SqlBlobs
from interlock.policy import load_bundle
from interlock.run.shadow import Shadow
from interlock.settings import Settings

CALLS = [
    question("read_file", {"path": "source/a.py"}),
    question("edit_file", {"path": "source/a.py", "old": "a", "new": "b"}, action="write"),
    question("edit_file", {"path": "docs/a.md", "old": "a", "new": "b"}, action="write"),
]


@pytest.fixture
def decided(project: Path) -> Path:
    """The project, with three recorded calls of run-1."""
    with closing(_ledger(project)) as ledger, closing(_blobs(project)) as blobs:
        record(ledger, blobs, load_bundle(project / "permissions"), CALLS)
    return project


def _ledger(project: Path) -> Ledger:
    return Ledger(f"sqlite:///{project}/.interlock/ledger.db")


def _blobs(project: Path) -> SqlBlobs:
    return SqlBlobs(f"sqlite:///{project}/.interlock/blobs.db")


@pytest.fixture
def candidate(project: Path) -> Path:
    """A copy of the policy without its guardrails for edits, and with edits anywhere."""
    folder = project / "candidate"
    shutil.copytree(project / "permissions", folder)
    grants = folder / "grants.yaml"
    grants.write_text(grants.read_text().replace("    when:\n      - {argument: path, under: source}\n", "", 1))
    text = (folder / "guardrails.yaml").read_text().replace("path, not_under: source", "path, under: nowhere")
    (folder / "guardrails.yaml").write_text(text)
    return folder


def test_can_tells_conditions_and_denials(interlock: Any, project: Path) -> None:
    told = interlock("policy", "can", "agent:fixer", "--for", "user:alice")
    assert told.code == 0
    lines = told.out.splitlines()
    start = lines.index("agent:fixer edit_file: allow for user:alice")
    assert any(line.startswith("  deny where arguments.path is not under 'source'") for line in lines[start:])
    assert any(
        "  allow where arguments.path is under 'source'  [fixer_edits permissions/grants.yaml:" in n for n in lines
    )


def test_can_is_json_too(interlock: Any, project: Path) -> None:
    found = interlock("policy", "can", "role:engineer", "--tool", "edit_file", "--json").json["reach"]
    assert [(one["agent"], one["verdict"], one["has_tool"]) for one in found] == [("agent:fixer", "allow", True)]
    assert {rule["effect"] for rule in found[0]["rules"]} >= {"deny", "allow"}


def test_can_nothing_is_said(interlock: Any, project: Path) -> None:
    told = interlock("policy", "can", "user:alice", "--tool", "nothing")
    assert (told.code, told.out) == (0, "no rule permits user:alice anything\n")


@pytest.mark.parametrize("arguments", [("agent:fixr",), ("fixer",), ("agent:fixer", "--for", "user:nobody")])
def test_can_names_who_is_unknown(interlock: Any, project: Path, arguments: tuple[str, ...]) -> None:
    told = interlock("policy", "can", *arguments)
    assert told.code == 2
    assert told.err.startswith("error: ")


def test_who_names_agents_and_rules(interlock: Any, project: Path) -> None:
    told = interlock("policy", "who", "open_pull_request")
    assert told.code == 0
    assert "agent:fixer open_pull_request: ask for everybody" in told.out
    assert "ask by maintainers" in told.out
    assert "agent:triage" not in told.out


def test_who_says_that_a_tool_is_unknown(interlock: Any, project: Path) -> None:
    assert "neither the project nor a rule names this tool" in interlock("policy", "who", "nothing").out


def test_project_that_does_not_compile_leaves_the_rules(interlock: Any, project: Path) -> None:
    (project / "tools" / "broken.py").write_text("def (")
    told = interlock("policy", "who", "read_file")
    assert told.code == 0
    assert "agent:fixer read_file: allow" in told.out
    assert "only the names in the policy are known" in told.err


def test_impact_of_nothing_is_nothing(interlock: Any, decided: Path) -> None:
    told = interlock("policy", "impact", "permissions")
    assert told.code == 0
    assert "3 decided again: 0 change, 0 of them widen\n" in told.out
    assert "people: as many approvals" in told.out


def test_impact_tells_widening_first(interlock: Any, decided: Path, candidate: Path) -> None:
    told = interlock("policy", "impact", "candidate")
    assert told.code == 1
    first, example, *_ = told.out.splitlines()
    assert first.startswith("newly allowed 1: allow by fixer_edits (candidate/grants.yaml:")
    assert "before: deny by edits_stay_in_source (permissions/guardrails.yaml:" in first
    assert example.endswith("interlock policy explain run-1 c3")


def test_impact_is_json_too(interlock: Any, decided: Path, candidate: Path) -> None:
    told = interlock("policy", "impact", "candidate", "--run", "run-1", "--since", "2000-01-01", "--json")
    assert (told.code, told.json["safe"], told.json["widened"]) == (1, False, 1)
    assert told.json["groups"][0]["example"]["call"] == "c3"


def test_impact_compares_with_the_files(interlock: Any, decided: Path, candidate: Path) -> None:
    shutil.rmtree(decided / "permissions")
    shutil.copytree(candidate, decided / "permissions")
    assert interlock("policy", "impact", "candidate").code == 1
    assert interlock("policy", "impact", "candidate", "--now").code == 0


@pytest.mark.parametrize(
    "arguments",
    [("nowhere",), ("permissions", "--run", "no-such-run"), ("permissions", "--since", "yesterday"),
     ("permissions", "--since", "99999d999"), ()],
)  # fmt: skip
def test_impact_refuses_what_is_not_there(interlock: Any, decided: Path, arguments: tuple[str, ...]) -> None:
    assert interlock("policy", "impact", *arguments).code == 2


def test_since_leaves_older_decisions_out(interlock: Any, decided: Path) -> None:
    assert "0 decided again" in interlock("policy", "impact", "permissions", "--since", "1h").out


def test_recorded_call_is_explained(interlock: Any, decided: Path) -> None:
    told = interlock("policy", "explain", "run-1", "c3")
    assert told.code == 0
    assert told.out.startswith("deny: Rule 'edits_stay_in_source'")
    assert (
        "needed      edits_stay_in_source must not deny: it does while arguments.path is not under 'source'"
        in told.out
    )
    assert "could grant security: change edits_stay_in_source (permissions/guardrails.yaml:" in told.out
    assert "search_code" not in told.out


def test_recorded_call_is_explained_under_a_candidate(interlock: Any, decided: Path, candidate: Path) -> None:
    told = interlock("policy", "explain", "run-1", "c3", "--under", "candidate", "--json")
    assert told.json["decision"]["verdict"] == "allow"
    assert told.json["deciding"]["source"].startswith("candidate/")
    assert (told.json["needs"], told.json["grantors"]) == ([], [])


def test_shadow_is_armed_reported_and_stopped(interlock: Any, decided: Path, candidate: Path) -> None:
    assert interlock("policy", "shadow", "--report").out == "no candidate was asked yet\n"
    armed = interlock("policy", "shadow", "candidate")
    assert (armed.code, armed.out.startswith("candidate sha256:")) == (0, True)
    with closing(_ledger(decided)) as ledger, closing(_blobs(decided)) as blobs:
        shadow = Shadow(Settings(root=decided), ledger, blobs)
        shadow.observe(ledger.events("run-1"))
        assert shadow.flush()
        shadow.close()
    report = interlock("policy", "shadow", "--report")
    assert report.code == 1
    assert report.out.startswith("newly allowed 1: allow by fixer_edits")
    assert "3 decided beside: 1 differ, 1 of them widen" in report.out
    assert interlock("policy", "shadow", "--report", "--json").json["widened"] == 1
    assert interlock("policy", "shadow", "--stop").code == 0
    assert not (decided / ".interlock" / "shadow").exists()
    assert interlock("policy", "shadow", "--report").code == 1


@pytest.mark.parametrize("arguments", [(), ("candidate", "--stop"), ("--report", "--stop"), ("nowhere",)])
def test_shadow_wants_one_thing(interlock: Any, project: Path, arguments: tuple[str, ...]) -> None:
    assert interlock("policy", "shadow", *arguments).code == 2


def test_shadow_of_the_setting_is_not_overwritten(
    interlock: Any, candidate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERLOCK_POLICY_SHADOW", "candidate")
    told = interlock("policy", "shadow", "candidate")
    assert told.code == 2
    assert "unset INTERLOCK_POLICY_SHADOW" in told.err


def test_suggestion_is_a_file_that_loads(interlock: Any, decided: Path) -> None:
    told = interlock("policy", "suggest", "--from-runs", "--out", "permissions/suggested.yaml")
    assert told.code == 0
    rules = load_bundle(decided / "permissions").rule_by_id
    assert {"suggested_fixer_edit_file", "suggested_fixer_read_file"} <= set(rules)
    assert "rule 'triage_reports' (allow, owner operations) decided nothing" in told.err


def test_suggestion_alone_is_printed(interlock: Any, decided: Path) -> None:
    told = interlock("policy", "suggest", "--from-runs", "--run", "run-1")
    assert told.out.startswith("rules:\n")
    assert told.err.endswith("rules decided nothing\n")
    found = interlock("policy", "suggest", "--from-runs", "--json").json
    assert found["yaml"] == told.out
    assert (found["decisions"], found["good"], found["uncovered"]) == (3, 2, [])


def test_suggestion_never_overwrites(interlock: Any, decided: Path) -> None:
    told = interlock("policy", "suggest", "--from-runs", "--out", "permissions/grants.yaml")
    assert told.code == 2
    assert "File exists" in told.err
    assert interlock("policy", "suggest").code == 2
