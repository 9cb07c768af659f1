"""docs/policy.md: its blocks run, and it names every operator and attribute."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from interlock.policy import load_bundle, run_cases, uncovered_rules
from interlock.policy.conditions import OPERATORS, Attribute

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()


def test_page_files_load_and_its_cases_pass(tmp_path: Path, monkeypatch, capsys):
    policy, leaving, routes, cases = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "permissions" / "cases").mkdir(parents=True)
    (tmp_path / "permissions" / "all.yaml").write_text(policy)
    (tmp_path / "permissions" / "leaving.yaml").write_text(leaving)
    (tmp_path / "permissions" / "routes.yaml").write_text(routes)
    (tmp_path / "permissions" / "cases" / "all.yaml").write_text(cases)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/policy.md", "exec"), {})
    bundle = load_bundle(Path("permissions"))
    results = run_cases(bundle, Path("permissions/cases"))
    assert [result.message for result in results] == ["", "", "", ""]
    assert [p.message for p in uncovered_rules(bundle, results)] == [
        "rule 'fixer_proposes' decides no case",
        "rule 'fixer_runs_tests' decides no case",
        "rule 'triage_files_issues' decides no case",
    ]
    assert "fixer_proposes" in capsys.readouterr().out


def test_page_names_every_operator_and_attribute():
    for name in (*OPERATORS, *get_args(Attribute)):
        assert f"`{name}`" in PAGE
