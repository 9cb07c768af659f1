"""`interlock check`: one test for each mistake, with the exact place and the suggestion."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from interlock.definitions import AgentDefinition, ToolSchema
from interlock.project import Checks, KnownNames, check
from interlock.project.describe_child import describe_here

Change = Callable[[str, str, str], Path]


def lines(root: Path, checks: Checks | None = None) -> list[str]:
    return [str(problem) for problem in check(root, checks)]


def test_valid_project_has_no_problem(project: Path) -> None:
    assert lines(project, Checks(profiles={"default"})) == []


def test_unknown_tool(change: Change) -> None:
    root = change("agents/reader.py", '"look"', '"loook"')
    assert lines(root) == [
        "agents/reader.playbook.yaml:3: this agent has no tool 'look' (did you mean 'loook'?)",
        "agents/reader.py:6: unknown tool 'loook' (did you mean 'look'?)",
    ]


def test_unknown_agent_in_workflow(change: Change) -> None:
    root = change("workflows/reading.py", '"reading", ("reader",)', '"reading", ("raeder",)')
    assert lines(root) == ["workflows/reading.py:12: unknown agent 'raeder' (did you mean 'reader'?)"]


def test_unknown_profile(change: Change) -> None:
    root = change("tools/look.py", 'sentence="Look at {path}"', 'profile="defualt"')
    expected = "tools/look.py:4: unknown sandbox profile 'defualt' (did you mean 'default'?)"
    assert lines(root, Checks(profiles={"default", "large"})) == [expected]


def test_default_profile_must_exist(project: Path) -> None:
    assert lines(project, Checks(profiles={"large"})) == ["tools/look.py:5: unknown sandbox profile 'default'"]


def test_unknown_model(change: Change) -> None:
    root = change("agents/reader.py", 'tools=["look"],', 'tools=["look"],\n    model="gpt",')
    expected = "agents/reader.py:7: model 'gpt' is not default, scripted, openai:NAME or anthropic:NAME"
    assert lines(root) == [expected]


@pytest.mark.parametrize("folder", ["agents", "tools", "permissions", "workflows"])
def test_init_file_in_content_folder(project: Path, folder: str) -> None:
    (project / folder / "__init__.py").touch()
    message = "a content folder has no __init__.py: its files are not a package; delete this file"
    assert lines(project) == [f"{folder}/__init__.py:1: {message}"]


def test_tool_without_parameter_annotation(change: Change) -> None:
    root = change("tools/look.py", "def look(path: str)", "def look(\n    path,\n)")
    expected = "tools/look.py:6: parameter 'path' of look has no annotation, so it has no schema"
    assert lines(root) == [expected]


def test_key_parameter_of_another_type(change: Change) -> None:
    root = change("tools/look.py", "path: str", "path: str, idempotency_key: int")
    expected = "tools/look.py:5: parameter 'idempotency_key' is the engine's and a str; give yours another name"
    assert lines(root) == [expected]


def test_key_in_a_template(change: Change) -> None:
    """What an approver reads and a rule tests is made of arguments, and the key is none."""
    root = change("tools/look.py", "path: str", "path: str, idempotency_key: str")
    assert lines(root) == []
    look = root / "tools" / "look.py"
    look.write_text(look.read_text().replace('"workspace:{path}"', '"workspace:{idempotency_key}"'))
    assert "resource names {idempotency_key}, and look has no such parameter" in lines(root)[0]


def test_tool_without_result_annotation(change: Change) -> None:
    root = change("tools/look.py", " -> str", "")
    expected = "tools/look.py:5: look has no return annotation, so its result has no schema"
    assert lines(root) == [expected]


def test_tool_without_docstring(change: Change) -> None:
    root = change("tools/look.py", '    """Look at a file."""\n', "")
    assert lines(root) == ["tools/look.py:5: look has no docstring, which is what the model reads"]


def test_tool_with_variadic_parameter(change: Change) -> None:
    root = change("tools/look.py", "path: str", "path: str, *rest: str")
    assert lines(root) == ["tools/look.py:5: parameter *rest has no schema; name each parameter"]


def test_template_with_unknown_parameter(change: Change) -> None:
    root = change("tools/look.py", '"workspace:{path}"', '"workspace:{pth}"')
    expected = "tools/look.py:4: resource names {pth}, and look has no such parameter (did you mean 'path'?)"
    assert lines(root) == [expected]


def test_tool_file_without_tool(project: Path) -> None:
    (project / "tools" / "helper.py").write_text("x = 1\n")
    expected = "tools/helper.py:1: a tool file has exactly one function with @tool(...), this one has 0"
    assert lines(project) == [expected]


def test_two_tools_in_one_file(project: Path) -> None:
    file = project / "tools" / "look.py"
    body = file.read_text()
    file.write_text(body + body.replace("from interlock import tool\n", "").replace("def look", "def look_again"))
    expected = "tools/look.py:11: a tool file has exactly one function with @tool(...), this one has 2"
    assert lines(project) == [expected]


def test_tool_name_differs_from_file(project: Path) -> None:
    (project / "tools" / "look.py").rename(project / "tools" / "see.py")
    assert lines(project)[-1] == "tools/see.py:5: the tool is named 'look' and its file 'see'; give them one name"


def test_agent_name_differs_from_file(change: Change) -> None:
    root = change("agents/reader.py", '"reader",', '"writer",')
    expected = "agents/reader.py:1: the agent is named 'writer' and its file 'reader'; give them one name"
    assert lines(root) == [expected]


def test_agent_file_without_agent(project: Path) -> None:
    (project / "agents" / "empty.py").touch()
    expected = "agents/empty.py:1: an agent file defines exactly one agent, this one defines 0"
    assert lines(project) == [expected]


def test_workflow_name_differs_from_file(change: Change) -> None:
    root = change("workflows/reading.py", 'Mark("reading"', 'Mark("writing"')
    expected = "workflows/reading.py:1: the workflow is named 'writing' and its file 'reading'; give them one name"
    assert lines(root) == [expected]


@pytest.mark.parametrize("folder", ["agents", "tools", "workflows"])
def test_syntax_error_is_told_once(project: Path, folder: str) -> None:
    (project / folder / "broken.py").write_text("x = 1\nif x\n    pass\n")
    assert lines(project) == [f"{folder}/broken.py:2: syntax error: expected ':'"]


def test_agent_that_raises_on_import(project: Path) -> None:
    (project / "agents" / "broken.py").write_text("\n\nraise RuntimeError('no')\n")
    assert lines(project) == ["agents/broken.py:3: cannot be imported: RuntimeError: no"]


def test_agent_that_ends_the_process(project: Path) -> None:
    (project / "agents" / "a.py").write_text("import os\nos._exit(7)\n")
    expected = "agents/a.py:1: importing it did not end well: the process ended with exit code 7"
    assert lines(project) == [expected]


@pytest.mark.parametrize(
    "statement",
    [
        "from interlock_project.tools.look import look",
        "from interlock_project.tools import look",
        "import tools.look",
    ],
)
def test_agent_that_imports_a_tool(change: Change, statement: str) -> None:
    root = change(
        "agents/reader.py", "from interlock import agent\n", f"from interlock import agent\n{statement}\n"
    )
    what = "imports the tool 'look', which runs only in a sandbox; content names other content by string"
    assert f"agents/reader.py:2: {what}" in lines(root)


def test_workflow_that_imports_an_agent(change: Change) -> None:
    new = "from dataclasses import dataclass\nfrom interlock_project.agents import reader\n"
    root = change("workflows/reading.py", "from dataclasses import dataclass\n", new)
    assert lines(root) == ["workflows/reading.py:2: imports content; content names other content by string"]


def test_package_of_the_same_name_is_no_content(change: Change) -> None:
    """`agents` and `workflows` are packages on PyPI too; importing those is no mistake."""
    new = "from dataclasses import dataclass\nif False:\n    from agents import Runner\n"
    root = change("workflows/reading.py", "from dataclasses import dataclass\n", new)
    assert lines(root) == []


def test_missing_prompt_file(change: Change) -> None:
    root = change("agents/reader.py", '"reader.md"', '"raeder.md"')
    message = "there is no prompt file agents/raeder.md that can be read (did you mean 'reader.md'?)"
    assert lines(root) == [f"agents/reader.py:5: {message}"]


def test_prompt_file_outside_the_project(change: Change, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    root = change("agents/reader.py", '"reader.md"', '"../../secret.md"')
    assert lines(root) == ["agents/reader.py:5: there is no prompt file agents/../../secret.md that can be read"]


def test_prompt_link_out_of_the_project(project: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    (project / "agents" / "reader.md").unlink()
    (project / "agents" / "reader.md").symlink_to(tmp_path / "secret.md")
    assert "agents/reader.md:1: this link leads out of the project; content must be inside it" in lines(project)


def test_prompt_that_is_not_text(project: Path) -> None:
    (project / "agents" / "reader.md").write_bytes(b"You\nread \xff\n")
    assert lines(project) == ["agents/reader.md:2: this prompt is not UTF-8 text"]


def test_empty_prompt(project: Path) -> None:
    (project / "agents" / "reader.md").write_text("\n")
    assert lines(project) == ["agents/reader.py:5: the prompt file agents/reader.md is empty"]


def test_playbook_that_is_not_yaml(project: Path) -> None:
    (project / "agents" / "reader.playbook.yaml").write_text("- say: a\n- say: [\n")
    found = lines(project)
    assert len(found) == 1
    assert found[0].startswith("agents/reader.playbook.yaml:3: not YAML")


def test_playbook_of_no_agent(project: Path) -> None:
    (project / "agents" / "raeder.playbook.yaml").write_text("- say: a\n")
    message = "unknown agent 'raeder': no agent uses this playbook (did you mean 'reader'?)"
    assert lines(project) == [f"agents/raeder.playbook.yaml:1: {message}"]


def test_names_that_differ_only_in_case(project: Path) -> None:
    (project / "tools" / "Look.py").write_text((project / "tools" / "look.py").read_text())
    found = lines(project)
    assert "tools/look.py:1: differs from tools/Look.py only in upper and lower case; rename one of them" in found
    assert any(line.startswith("tools/Look.py:1: 'Look.py' is no name") for line in found)


def test_missing_content_folder(project: Path) -> None:
    (project / "permissions" / "rules.yaml").unlink()
    (project / "permissions").rmdir()
    assert lines(project) == ["permissions:1: this folder is missing from the project"]


def test_module_in_a_subfolder(project: Path) -> None:
    (project / "tools" / "more").mkdir()
    (project / "tools" / "more" / "x.py").touch()
    assert lines(project) == ["tools/more/x.py:1: content is one file deep; move this to tools/"]


@dataclass(frozen=True)
class Placed:
    source: str
    message: str


def test_rule_that_names_nothing(project: Path) -> None:
    asked: list[KnownNames] = []

    def references(known: KnownNames) -> list[Placed]:
        asked.append(known)
        return [Placed("permissions/rules.yaml:4", "unknown tool 'loook' (did you mean 'look'?)")]

    found = lines(project, Checks(references=references, built_in_tools=("interlock.ask",)))
    assert found == ["permissions/rules.yaml:4: unknown tool 'loook' (did you mean 'look'?)"]
    known = asked[0]
    assert (known.agents, known.tools) == ({"reader"}, {"look", "interlock.ask"})
    assert known.workflows == {"reading"}


@dataclass(frozen=True)
class Refusal:
    line: int
    message: str


def test_compiled_problem_has_its_place(project: Path) -> None:
    def compiler(sources: Mapping[str, bytes]) -> Mapping[str, ToolSchema | Refusal]:
        return {name: Refusal(5, "parameter 'path': float is not allowed") for name in sources}

    assert lines(project, Checks(compiler=compiler)) == ["tools/look.py:5: parameter 'path': float is not allowed"]


def run_once(agent: AgentDefinition) -> str:
    return str(agent.graph()) if agent.graph else ""


@pytest.mark.usefixtures("unmounted")
def test_graph_that_fails_when_run(project: Path) -> None:
    (project / "agents" / "own.py").write_text(
        "from interlock import agent\n\n\ndef graph():\n    raise ValueError('no such node')\n\n\n"
        "own = agent('own', prompt='x', graph=graph)\n"
    )
    found = describe_here(project, run_once).problems
    message = "its graph fails when it is run once: ValueError: no such node"
    assert [str(problem) for problem in found] == [f"agents/own.py:4: {message}"]


def test_graph_check_is_called_in_the_child(project: Path) -> None:
    found = lines(project, Checks(graph_check="operator:neg"))
    message = "its graph fails when it is run once: TypeError: bad operand type for unary -: 'AgentDefinition'"
    assert found == [f"agents/reader.py:1: {message}"]


def test_all_problems_are_reported(project: Path) -> None:
    (project / "agents" / "__init__.py").touch()
    (project / "tools" / "broken.py").write_text("(\n")
    (project / "agents" / "reader.md").write_text("")
    (project / "agents" / "bad.py").write_text("1/0\n")
    assert len(lines(project)) == 4
