"""Command and shell definitions: what compiles, and how each mistake is told."""

from __future__ import annotations

import pytest
from support.declared import compile_files, one

COUNT = """\
kind: command
description: Count the words of a file.
action: read
resource: workspace:{path}
workspace: read
argv: [wc, -w, "{path}"]
parameters:
  path: {type: path, description: A file.}
result: text
"""


def test_command_has_a_tool_schema() -> None:
    schema = one(COUNT, "count").schema
    assert (schema.name, schema.action, schema.workspace, schema.flow) == ("count", "read", "read", "reader")
    assert schema.parameters == {
        "type": "object",
        "properties": {"path": {"type": "string", "description": "A file."}},
        "additionalProperties": False,
        "required": ["path"],
    }
    assert schema.result == {"type": "string"}


def test_defaults_are_the_decorators() -> None:
    schema = one('kind: command\ndescription: d\naction: read\nargv: ["true"]\n').schema
    assert (schema.effects, schema.profile, schema.resource, schema.idempotent) == (
        "contained",
        "default",
        "tool:t",
        False,
    )


def test_external_command_is_a_sink() -> None:
    schema = one('kind: command\ndescription: d\naction: send\neffects: external\nargv: ["true"]\n').schema
    assert schema.flow == "sink"


def test_same_definition_has_the_same_digest() -> None:
    before, after = one(COUNT), one(f"# a comment\n{COUNT}")
    assert before.entry.source == after.entry.source
    assert one(COUNT.replace("-w", "-l")).entry.source != before.entry.source


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("kind: command", "kind: comand", "tools/t.yaml:1: kind: 'comand' is none of command, shell, mcp, http"),
        (
            "result: text",
            "result: json\nresult_schema: {enum: x}",
            "tools/t.yaml:10: result_schema: enum: 'x' is not of",
        ),
        ("kind: command\n", "", "tools/t.yaml:1: kind: is missing"),
        ("action: read", "acton: read", "tools/t.yaml:3: acton: no such key (did you mean 'action'?)"),
        ("description: Count the words of a file.\n", "", "description: is missing"),
        ("action: read\n", "", "action: is missing: the verb that rules test"),
        ("workspace:{path}", "workspace:{file}", "tools/t.yaml:4: resource: 'workspace:{file}' names {file}"),
        (
            "workspace: read",
            "workspace: rw",
            "tools/t.yaml:5: workspace: Input should be 'none', 'read' or 'write'",
        ),
        ('"{path}"', '"{pth}"', "tools/t.yaml:6: argv: '{pth}' names {pth}, and there is no such parameter"),
        ('"{path}"', '"{path!r}"', "must be the name of one parameter"),
        ("[wc,", '["{path}",', "the first element is the program itself"),
        ("type: path", "type: file", "tools/t.yaml:8: parameters.path.type: Input should be"),
        (
            "type: path",
            "type: path, optional: true",
            "{path} is optional: put the elements that need it into a list",
        ),
        ("type: path", 'type: string, pattern: "["', "parameters.path.pattern: no regular expression"),
        ("type: path", "type: integer, default: x", "parameters.path.default: 'x' does not fit its own type"),
        ("type: path", "type: boolean, minimum: 1", "parameters.path.minimum: is only for type integer"),
        ("result: text", "result: text\nresult_schema: {type: object}", "result_schema: is only for result: json"),
        ("action: read", "action: shell", "action: 'shell' is for what runs a shell"),
        ("argv:", "shell: true\nargv:", "shell: needs a `script`"),
        ("argv:", "script: echo\nargv:", "script: a shell string needs `shell: true`"),
        ("result: text", "emits: [requester]\nresult: text", "label 'requester' is the engine's own"),
        ("result: text", "destination: [where]\nresult: text", "destination: 'where' is no parameter"),
        ("result: text", "name: other\nresult: text", "the tool is named 'other' and its file 't'"),
        ("result: text", "result: &x text", "anchors and aliases are not allowed"),
        ("kind: command", "kind: [", "tools/t.yaml:"),
    ],
)
def test_mistake_is_told_with_its_place(old: str, new: str, told: str) -> None:
    assert COUNT.count(old) >= 1
    tools, problems = compile_files({"t.yaml": COUNT.replace(old, new, 1)})
    assert tools == {}
    assert any(told in line and line.startswith("tools/t.yaml:") for line in problems), problems


def test_shell_string_needs_the_shell_action() -> None:
    text = "kind: command\ndescription: d\naction: {}\nshell: true\nscript: echo $x\n"
    assert compile_files({"t.yaml": text.format("read")})[0] == {}
    assert one(text.format("shell")).schema.action == "shell"


def test_shell_is_a_writer_with_its_own_action() -> None:
    schema = one("kind: shell\ndescription: d\n").schema
    assert (schema.action, schema.workspace, schema.flow) == ("shell", "write", "writer")
    for wrong in ("action: execute", "workspace: none"):
        assert compile_files({"t.yaml": f"kind: shell\ndescription: d\n{wrong}\n"})[0] == {}
