"""Tool files become schemas inside a container; every problem names its line; results are kept by digest."""

from __future__ import annotations

import textwrap

import docker
import jsonschema
import pytest

from interlock.definitions import ToolSchema
from interlock.errors import Refused, SandboxUnavailable
from interlock.sandbox import ToolProblem, compile_tools
from interlock.sandbox.owner import own_id
from interlock.settings import Settings

GOOD = '''
from __future__ import annotations
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Literal, NotRequired, Optional, TypedDict
from interlock import tool

@dataclass
class Point:
    x: int
    tags: list[str] = field(default_factory=list)

class Options(TypedDict):
    deep: bool
    note: NotRequired[str]

@tool(action="write", resource="workspace:{path}", workspace="write", effects="external", idempotent=True,
      profile="large", preview="workspace_diff", sentence="Move {path}", name="files.move")
def move(
    path: Annotated[str, "Where it is."],
    points: list[Point],
    options: Options,
    price: Decimal = Decimal("1.50"),
    mode: Literal["fast", "slow"] = "fast",
    limit: int | None = None,
    extra: Optional[dict[str, bool]] = None,
) -> list[Point]:
    """Move a file.

    With points.
    """
    return points
'''


def problem(body: str) -> bytes:
    return textwrap.dedent(body).lstrip("\n").encode()


PROBLEMS = {
    "no_tool.py": (problem("x = 1"), 1, "no @tool function"),
    "two.py": (
        problem(
            '''
            from interlock import tool
            @tool(action="read")
            def a() -> None:
                """A."""
            @tool(action="read")
            def b() -> None:
                """B."""
            '''
        ),
        5,
        "2 tools",
    ),
    "syntax.py": (problem("import os\ndef f(:\n  pass"), 2, "SyntaxError"),
    "raises.py": (problem("import os\n\nos.nothing()"), 3, "raises when imported: AttributeError"),
    "exits.py": (problem("import sys\nsys.exit(0)"), 2, "SystemExit"),
    "dies.py": (problem("import os\nos._exit(0)"), 1, "exit code 0"),
    "null.py": (b"x = '\0'", 1, "null bytes"),
    "not_utf8.py": (b"x = '\xff'", 1, "SyntaxError"),
}
TOOL = """
from interlock import tool
import enum
@tool({options})
def t({parameters}){returns}:
    {docstring}
    {body}
"""


def tool(parameters="", returns=" -> None", docstring='"""Do."""', options='action="read"', body="pass"):
    filled = TOOL.format(**locals())
    return filled.lstrip("\n").encode()


PROBLEMS |= {
    "unannotated.py": (tool("a: int,\n    b"), 5, "parameter 'b' has no annotation"),
    "float.py": (tool("a: int,\n    b: float"), 5, "float has no canonical JSON form"),
    "bytes.py": (tool("a: bytes"), 4, "bytes is no JSON value"),
    "any.py": (tool("a: object"), 4, "object is not one of"),
    "enum.py": (tool("a: enum.Enum"), 4, "Enum is not one of"),
    "bare_list.py": (tool("a: list"), 4, "needs its item type"),
    "union.py": (tool("a: int | str"), 4, "may only add None"),
    "keys.py": (tool("a: dict[int, str]"), 4, "dict keys must be str"),
    "unknown_name.py": (tool("a: 'Nothing'"), 4, "'Nothing' is not defined"),
    "args.py": (tool("a: int,\n\n    *args: int"), 6, "*args"),
    "kwargs.py": (tool("**rest: int"), 4, "**rest"),
    "positional.py": (tool("a: int, /"), 4, "positional-only"),
    "default.py": (tool("a: int = 1.5"), 4, "expected int, got float"),
    "default_bytes.py": (tool("a: str = b'x'"), 4, "expected str, got bytes"),
    "no_result.py": (tool(returns=""), 4, "the result has no annotation"),
    "result_float.py": (tool(returns=" -> dict[str,\n    float]"), 4, "the result: float"),
    "no_docstring.py": (tool(docstring=""), 4, "no docstring"),
    "generator.py": (tool(body="yield 1"), 4, "does not yield"),
    "template.py": (tool(options='action="read", resource="x:{nothing}"'), 4, "names ['nothing']"),
    "broken_template.py": (tool(options='action="read", sentence="Do {"'), 4, "sentence="),
    "attribute_template.py": (tool("a: str", options='action="read", resource="{a.__class__}"'), 4, "resource"),
    "workspace.py": (tool(options='action="read", workspace="rw"'), 4, "@tool workspace='rw'"),
    "name.py": (tool(options='action="read", name="Bad Name"'), 4, "@tool name='Bad Name'"),
    "action.py": (tool(options='action="Read It"'), 4, "@tool action='Read It'"),
    "no_action.py": (tool(options=""), 3, "missing 1 required keyword-only argument: 'action'"),
}


@pytest.fixture
def in_process() -> Settings:
    return Settings(sandbox_driver="in_process", unsafe_in_process="tests")


@pytest.mark.docker
def test_contract_is_derived_from_annotations(settings, image, tmp_path):
    schema = compile_tools({"move.py": GOOD.encode()}, settings, tmp_path)["move.py"]
    assert isinstance(schema, ToolSchema), schema
    assert schema.description == "Move a file.\n\nWith points."
    assert (schema.name, schema.action, schema.resource) == ("files.move", "write", "workspace:{path}")
    assert (schema.workspace, schema.effects, schema.idempotent) == ("write", "external", True)
    assert (schema.profile, schema.preview, schema.sentence) == ("large", "workspace_diff", "Move {path}")
    assert schema.parameters["required"] == ["path", "points", "options"]
    properties = schema.parameters["properties"]
    assert properties["path"] == {"type": "string", "description": "Where it is."}
    assert properties["price"]["default"] == "1.50"
    assert properties["limit"] == {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}
    jsonschema.Draft202012Validator.check_schema(schema.parameters)
    jsonschema.Draft202012Validator.check_schema(schema.result)


@pytest.mark.docker
@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, True),
        ({"points": [{"x": 1, "tags": ["a"]}], "mode": "slow", "limit": 3, "extra": {"a": True}}, True),
        ({"points": [{"x": "1"}]}, False),
        ({"points": [{"x": 1, "y": 1}]}, False),
        ({"options": {}}, False),
        ({"mode": "other"}, False),
        ({"price": 1}, False),
        ({"price": "1e5"}, False),
        ({"unknown": 1}, False),
    ],
)
def test_schema_and_sandbox_agree(settings, image, tmp_path_factory, change, fits):
    from interlock.sandbox.guest.invoke import ToolError, invoke, resolve

    cache = tmp_path_factory.getbasetemp() / "agree"
    schema = compile_tools({"move.py": GOOD.encode()}, settings, cache)["move.py"]
    arguments = {"path": "a", "points": [], "options": {"deep": True}, **change}
    assert jsonschema.Draft202012Validator(schema.parameters).is_valid(arguments) is fits
    function = resolve(GOOD.encode(), "move.py", "files.move")
    if fits:
        invoke(function, arguments, "move.py")
    else:
        with pytest.raises(ToolError, match="arguments do not fit"):
            invoke(function, arguments, "move.py")


@pytest.mark.docker
def test_every_problem_names_its_line(settings, image, tmp_path):
    found = compile_tools({name: source for name, (source, _, _) in PROBLEMS.items()}, settings, tmp_path)
    assert list(found) == list(PROBLEMS)
    for name, (_, line, message) in PROBLEMS.items():
        one = found[name]
        assert isinstance(one, ToolProblem), name
        assert message in one.message, name
        assert one.line == line, (name, one)


@pytest.mark.docker
def test_hostile_file_spoils_no_other(settings, image, tmp_path):
    hostile = b"""
import os, time
for path in ('/tmp/x', '/workspace/x'):
    open(path, 'w').write('x')
if os.fork() == 0:
    while True:
        for pid in os.listdir('/proc'):
            if pid.isdigit() and pid != str(os.getpid()):
                try:
                    os.kill(int(pid), 9)
                except OSError:
                    pass
time.sleep(0.2)
"""
    sources = {"a.py": hostile, "b.py": GOOD.encode(), "c.py": hostile, "d.py": GOOD.encode()}
    found = compile_tools(sources, settings, tmp_path)
    assert isinstance(found["a.py"], ToolProblem)
    assert isinstance(found["b.py"], ToolSchema)
    assert isinstance(found["d.py"], ToolSchema)


@pytest.mark.docker
def test_container_of_the_compiler_is_gone(settings, image, tmp_path, engine):
    compile_tools({"bomb.py": b"while True: open('/tmp/x', 'a').write('x' * 1000000)"}, settings, tmp_path)
    rows = engine.containers(all=True, filters={"label": f"interlock.sandbox={own_id()}"})
    names = [name for row in rows for name in row["Names"]]
    assert not [name for name in names if "interlock-compiler" in name]


@pytest.mark.docker
def test_second_compile_needs_no_container(settings, image, tmp_path, monkeypatch):
    sources = {"move.py": GOOD.encode(), "no_tool.py": b"x = 1"}
    first = compile_tools(sources, settings, tmp_path)

    def refuse(*_, **__):
        raise AssertionError("a container was started")

    monkeypatch.setattr(docker.APIClient, "create_container", refuse)
    assert compile_tools(sources, settings, tmp_path) == first


@pytest.mark.docker
def test_changed_source_or_broken_cache_compiles_again(settings, image, tmp_path):
    compile_tools({"move.py": GOOD.encode()}, settings, tmp_path)
    changed = compile_tools({"move.py": GOOD.replace("Move a file", "Shift a file").encode()}, settings, tmp_path)
    assert changed["move.py"].description.startswith("Shift")
    for path in tmp_path.iterdir():
        path.write_bytes(b"{}")
    again = compile_tools({"move.py": GOOD.encode()}, settings, tmp_path)
    assert again["move.py"].description.startswith("Move")


def test_in_process_compile_gives_the_same(in_process, tmp_path):
    assert isinstance(compile_tools({"move.py": GOOD.encode()}, in_process, tmp_path)["move.py"], ToolSchema)


def test_in_process_compile_is_refused_elsewhere(tmp_path):
    with pytest.raises(Refused):
        compile_tools({}, Settings(sandbox_driver="in_process"), tmp_path)


def test_compile_without_engine_is_unavailable(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(SandboxUnavailable) as caught:
        compile_tools({"a.py": b""}, settings, tmp_path)
    assert caught.value.next_step
