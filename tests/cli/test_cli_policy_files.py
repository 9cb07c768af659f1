"""policy check, lint, fmt, show, schema on a copy of the reference project."""

from __future__ import annotations

import json
from pathlib import Path

import casbin
import pytest
from casbin.persist.adapters import FileAdapter

from interlock.policy.yaml_file import read_yaml

SEEDED = Path(__file__).resolve().parents[1] / "policy" / "seeded"


def mistakes(folder: str) -> list[tuple[str, int, str]]:
    found = read_yaml(SEEDED / "manifest.yaml", "manifest").value["mistakes"]
    return sorted((m["file"], m["line"], m["code"]) for m in found if m["file"].startswith(f"{folder}/"))


def told(found: list[dict]) -> list[tuple[str, int, str]]:
    return sorted((one["file"], one["line"], one["code"]) for one in found)


def test_manifest_has_thirty_mistakes() -> None:
    assert len(mistakes("refused")) + len(mistakes("linted")) == 30


def test_check_names_each_seeded_mistake(interlock) -> None:
    answer = interlock("policy", "check", str(SEEDED / "refused"), "--json")
    assert answer.code == 1
    assert told(answer.json["problems"]) == mistakes("refused")


def test_lint_names_each_seeded_mistake(interlock) -> None:
    answer = interlock("policy", "lint", str(SEEDED / "linted"), "--as-of", "2026-06-01", "--json")
    assert answer.code == 1
    assert told(answer.json["findings"]) == mistakes("linted")


def test_check_finds_what_nothing_in_the_project_has(interlock) -> None:
    answer = interlock("policy", "check", str(SEEDED / "linted"))
    assert answer.code == 1
    assert "linted/grants.yaml:39: rule 'tests_of_fixr': unknown agent 'agent:fixr' (did you mean 'fixer'?)" in (
        answer.out
    )
    alone = interlock("policy", "check", str(SEEDED / "linted"), "--alone", "--json")
    assert told(alone.json["problems"]) == [("linted/routes.yaml", 6, "unsatisfiable-route")]


def test_reference_project_is_clean(interlock) -> None:
    assert interlock("policy", "check").out == "no problems\n"
    answer = interlock("policy", "lint", "--strict", "--json")
    assert answer.code == 0
    assert [one for one in answer.json["findings"] if not one["silenced"]] == []
    assert interlock("policy", "fmt", "--check").out == "no change\n"


def test_missing_folder_is_wrong_usage(interlock) -> None:
    for verb in ("check", "lint", "fmt"):
        answer = interlock("policy", verb, "nowhere")
        assert answer.code == 2
        assert "is no folder" in answer.err


def test_warning_exits_one_only_when_strict(interlock, project: Path) -> None:
    routes = project / "permissions" / "routes.yaml"
    routes.write_text(routes.read_text() + "  - {name: spare, approvers: role:approver, expires_after: 1h}\n")
    answer = interlock("policy", "lint")
    assert answer.code == 0
    assert "warning unused-route: route 'spare': no rule asks it." in answer.out
    assert interlock("policy", "lint", "--strict").code == 1


def test_tool_that_no_rule_grants_is_found(interlock, project: Path) -> None:
    grants = project / "permissions" / "grants.yaml"
    grants.write_text(grants.read_text().replace("tool: run_tests", "tool: read_file"))
    found = interlock("policy", "lint", "--json").json["findings"]
    assert ("tools/run_tests.py", 1, "ungranted-tool") in told(found)


def test_tool_that_an_agent_may_not_use_is_found(interlock, project: Path) -> None:
    agent = project / "agents" / "reviewer.py"
    agent.write_text(agent.read_text().replace('"search_code"', '"edit_file", "search_code"'))
    line = 1 + agent.read_text()[: agent.read_text().index('"edit_file"')].count("\n")
    found = interlock("policy", "lint", "--json").json["findings"]
    assert ("agents/reviewer.py", line, "ungranted-agent-tool") in told(found)


def test_comment_in_a_tool_silences_its_finding(interlock, project: Path) -> None:
    grants, tool = project / "permissions" / "grants.yaml", project / "tools" / "run_tests.py"
    grants.write_text(grants.read_text().replace("tool: run_tests", "tool: read_file"))
    first, rest = tool.read_text().split("\n", 1)
    tool.write_text(f"{first}  # lint: allow ungranted-tool it is tried by hand\n{rest}")
    found = interlock("policy", "lint", "--json").json["findings"]
    assert [one["silenced"] for one in found if one["code"] == "ungranted-tool"] == ["it is tried by hand"]


def test_lint_refuses_a_broken_project(interlock, project: Path) -> None:
    (project / "tools" / "run_tests.py").write_text("def (:\n")
    answer = interlock("policy", "lint")
    assert answer.code == 2
    assert "tools/run_tests.py:1" in answer.err
    assert interlock("policy", "lint", "--alone").code == 0


def test_policy_that_does_not_load_is_not_linted(interlock) -> None:
    answer = interlock("policy", "lint", str(SEEDED / "refused"))
    assert answer.code == 2
    assert "refused/people.yaml:5" in answer.err


def test_sarif_names_rule_and_place(interlock, tmp_path: Path) -> None:
    file = tmp_path / "lint.sarif"
    interlock("policy", "lint", str(SEEDED / "linted"), "--as-of", "2026-06-01", "--sarif", str(file))
    log = json.loads(file.read_text())
    assert log["version"] == "2.1.0"
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    results = log["runs"][0]["results"]
    assert len(results) == len(mistakes("linted"))
    for result in results:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
    places = [one["locations"][0]["physicalLocation"] for one in results]
    assert sorted(
        (p["artifactLocation"]["uri"], p["region"]["startLine"], one["ruleId"])
        for p, one in zip(places, results, strict=True)
    ) == mistakes("linted")


def test_sarif_that_cannot_be_written_is_wrong_usage(interlock) -> None:
    assert interlock("policy", "lint", "--alone", "--sarif", "/nowhere/lint.sarif").code == 2


def test_fmt_checks_then_writes(interlock, project: Path) -> None:
    routes = project / "permissions" / "routes.yaml"
    routes.write_text(
        "# who\nroutes: [{expires_after: 4h, quorum: 1, approvers: 'role:approver', name: maintainers}]\n"
    )
    before = routes.read_text()
    grants = [p for p in (project / "permissions").glob("*.yaml") if "route: declassification" in p.read_text()]
    for path in grants:
        path.write_text(path.read_text().replace("route: declassification", "route: maintainers"))
    answer = interlock("policy", "fmt", "--check")
    assert (answer.code, routes.read_text()) == (1, before)
    assert "would change" in answer.out
    counts = interlock("policy", "show", "--json").json["counts"]
    assert interlock("policy", "fmt").code == 0
    assert routes.read_text() == (
        "# who\nroutes:\n  - name: maintainers\n    approvers: role:approver\n"
        "    quorum: 1\n    expires_after: 4h\n"
    )
    assert interlock("policy", "fmt", "--check").code == 0
    assert interlock("policy", "show", "--json").json["counts"] == counts


def test_show_lists_rules_strongest_first(interlock) -> None:
    shown = interlock("policy", "show", "--json").json
    effects = [rule["effect"] for rule in shown["rules"]]
    assert effects == sorted(effects, key=["deny", "ask", "allow"].index)
    assert shown["counts"]["rules"] == len(effects)
    assert shown["bundle"] in interlock("policy", "show").out


def test_show_tells_one_rule(interlock) -> None:
    out = interlock("policy", "show", "fixer_edits").out
    assert "when       arguments.path must be under 'source'" in out
    assert "permissions/grants.yaml:" in out
    answer = interlock("policy", "show", "fixer_edit")
    assert answer.code == 2
    assert "did you mean 'fixer_edits'?" in answer.err
    assert interlock("policy", "show", "fixer_edits", "--casbin").code == 2


@pytest.mark.parametrize("resource", ["'*'", "'workspace:a,b/(c]/#d'"])
def test_casbin_reads_its_rows_from_a_file(interlock, project: Path, resource: str) -> None:
    more = project / "permissions" / "more.yaml"
    keys = f"agent: agent:fixer, tool: read_file, resource: {resource}"
    more.write_text(f"rules:\n  - {{id: extra, effect: allow, owner: team, {keys}}}\n")
    shown = interlock("policy", "show", "--casbin", "--json").json
    text = interlock("policy", "show", "--casbin").out
    assert text.startswith(shown["model"])
    csv = project / "rows.csv"
    csv.write_text(text[len(shown["model"]) :])
    model = casbin.Enforcer.new_model(text=shown["model"])
    FileAdapter(str(csv)).load_policy(model)
    rows = model["p"]["p"].policy
    assert [row[1] for row in rows] == [row[1] for row in shown["rows"]]
    assert {len(row) for row in rows} == {10}
    plain = [row for row in shown["rows"] if row[1] != "extra"]
    assert [row for row in rows if row[1] != "extra"] == plain


def test_schema_is_the_one_in_the_project(interlock, project: Path) -> None:
    for kind, path in (("policy", "policy.schema.json"), ("cases", "cases/cases.schema.json")):
        printed = interlock("policy", "schema", kind).json
        assert printed == json.loads((project / "permissions" / path).read_text())
    assert interlock("policy", "schema", "rules").code == 2
