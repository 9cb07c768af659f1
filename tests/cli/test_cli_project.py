"""init, check, agents, tools, policy: what people do before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def test_reference_project_checks(interlock) -> None:
    told = interlock("check")
    assert (told.code, told.out) == (0, "no problems\n")


def test_problem_names_file_and_line(interlock, project: Path) -> None:
    agent = project / "agents" / "fixer.py"
    agent.write_text(agent.read_text().replace('"search_code"', '"serch_code"'))
    told = interlock("check")
    assert told.code == 1
    line = 1 + agent.read_text()[: agent.read_text().index("serch_code")].count("\n")
    assert f"agents/fixer.py:{line}: " in told.out
    assert "did you mean 'search_code'?" in told.out


def test_problems_are_json(interlock, project: Path) -> None:
    (project / "tools" / "__init__.py").touch()
    told = interlock("check", "--json")
    assert told.code == 1
    assert told.json["ok"] is False
    assert {"file", "line", "message", "suggestion"} == set(told.json["problems"][0])


def test_init_makes_a_project_that_checks(interlock, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = interlock("init", "shop", "--json")
    assert told.code == 0
    assert "agents/fixer.py" in told.json["files"]
    monkeypatch.chdir(project / "shop")
    assert interlock("check").code == 0


def test_init_never_overwrites(interlock, project: Path) -> None:
    told = interlock("init", "shop", "--into", str(project))
    assert told.code == 2
    assert "is not an empty folder" in told.err


def test_init_refuses_a_bad_name(interlock) -> None:
    assert interlock("init", "My-Shop").code == 2


def test_agents_are_listed(interlock) -> None:
    told = interlock("agent", "list", "--json")
    fixer = next(agent for agent in told.json["agents"] if agent["name"] == "fixer")
    assert "open_pull_request" in fixer["tools"]
    assert fixer["custom"] is False


def test_graph_is_mermaid(interlock) -> None:
    told = interlock("agent", "graph", "fixer")
    assert "graph TD;" in told.out
    assert "model -.-> act" in told.out


def test_unknown_agent_is_suggested(interlock) -> None:
    told = interlock("agent", "graph", "fixr")
    assert told.code == 2
    assert "did you mean 'fixer'?" in told.err


def test_tools_are_listed(interlock) -> None:
    told = interlock("tool", "list", "--json")
    tools = {tool["schema"]["name"]: tool["schema"] for tool in told.json["tools"]}
    assert tools["open_pull_request"]["action"] == "publish"
    assert tools["edit_file"]["workspace"] == "write"


def explain(interlock, path: str, *more: str):
    arguments = json.dumps({"path": path, "old": "a", "new": "b"})
    call = ["--tool", "edit_file", "--agent", "fixer", "--as", "user:alice", "--arguments", arguments]
    return interlock("policy", "explain", *call, *more)


def test_explain_names_the_deciding_rule(interlock) -> None:
    told = explain(interlock, "source/a.py")
    assert told.code == 0
    assert told.out.startswith("allow: Rule 'fixer_edits' allows this call.")
    assert "permissions/grants.yaml:" in told.out


def test_explain_names_the_failed_clause(interlock) -> None:
    told = explain(interlock, "elsewhere/a.py", "--json")
    assert told.json["decision"]["verdict"] == "deny"
    clauses = {near["rule"]: near["clause"] for near in told.json["near"]}
    assert "under 'source'" in clauses["fixer_edits"]


def test_explain_wants_one_question(interlock) -> None:
    assert interlock("policy", "explain").code == 2
    assert explain(interlock, "source/a.py", "run-1", "c1").code == 2


def test_unknown_person_is_suggested(interlock) -> None:
    told = interlock("policy", "explain", "--tool", "edit_file", "--agent", "fixer", "--as", "alcie")
    assert told.code == 2
    assert "did you mean 'user:alice'?" in told.err


def test_nobody_is_an_error(interlock) -> None:
    told = interlock("run", "start", "fix_issue", "--input", '{"issue": "x"}')
    assert told.code == 2
    assert "--as: who does this?" in told.err


@pytest.mark.parametrize("given", ["{", "NaN", "[1.5]", '{"a": 1, "a": 2}', "@nowhere.json"])
def test_bad_input_is_named(interlock, given: str) -> None:
    told = interlock("run", "start", "fix_issue", "--as", "user:alice", "--input", given)
    assert told.code == 2
    assert told.err.startswith("error: --input: ")


def test_keys_are_made_once(interlock, project: Path) -> None:
    first = interlock("keys", "create", "--json").json["written"]
    assert sorted(Path(path).name for path in first) == [
        "1.key", "api.key", "api.pub", "current", "executor.key", "executor.pub", "ledger.key", "ledger.pub",
    ]  # fmt: skip
    assert {oct(Path(path).stat().st_mode & 0o777) for path in first if path.endswith(".key")} == {"0o600"}
    before = [Path(path).read_bytes() for path in first]
    assert interlock("keys", "create", "--json").json["written"] == []
    assert [Path(path).read_bytes() for path in first] == before


def test_one_roles_key_alone(interlock) -> None:
    written = interlock("keys", "create", "--role", "executor", "--json").json["written"]
    assert [Path(path).name for path in written] == ["executor.key", "executor.pub"]


def test_unknown_role_is_refused(interlock, project: Path) -> None:
    assert interlock("keys", "create", "--role", "root").code == 2
    assert [path.name for path in (project / ".interlock").iterdir()] == ["cache"]
