"""MCP servers: only what was reviewed is called, and no server can do more than fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.declared import call_of, compile_files, run, value
from support.mcp_server import ADD, ECHO, PAINT

from interlock.definitions.declared import Lock, LockedTool, pin
from interlock.project.declared import DeclaredTool
from interlock.sandbox import InProcessDriver
from interlock.sandbox.guest.kinds import mcp as guest_mcp
from interlock.settings import Settings

SOURCE = (Path(__file__).parents[1] / "support" / "mcp_server.py").read_text()


def command(how: str = "") -> list[str]:
    return ["python3", "-c", SOURCE, *([how] if how else [])]


def lock_of(how: str = "", *tools: dict[str, Any]) -> str:
    pinned = {one["name"]: LockedTool(digest=pin(one), definition=one) for one in tools or (ECHO, ADD, PAINT)}
    return (
        Lock(command=tuple(command(how)), server="small 1", protocol="2025-06-18", tools=pinned).written().decode()
    )


def files(how: str = "", more: dict[str, Any] | None = None, lock: str | None = None) -> dict[str, str]:
    definition = {"kind": "mcp", "command": command(how), **(more or {})}
    return {"small.yaml": json.dumps(definition), "small.lock.json": lock or lock_of(how)}


def tools(how: str = "", more: dict[str, Any] | None = None) -> dict[str, DeclaredTool]:
    found, problems = compile_files(files(how, more))
    assert problems == []
    return found


@pytest.fixture
def quick(settings: Settings) -> InProcessDriver:
    return InProcessDriver(
        settings.model_copy(update={"sandbox_driver": "in_process", "unsafe_in_process": "tests"})
    )


# -- compiling -------------------------------------------------------------------------------------------------


def test_tools_are_named_after_their_server() -> None:
    found = tools()
    assert set(found) == {"small.echo", "small.add_numbers", "small.paint"}
    echo = found["small.echo"].schema
    assert echo.description == "Say it again."
    assert echo.parameters["additionalProperties"] is False
    assert echo.parameters["properties"]["times"]["default"] == 1


def test_annotations_are_hints_and_silence_is_the_worst() -> None:
    found = {name: tool.schema for name, tool in tools().items()}
    echo, add, paint = found["small.echo"], found["small.add_numbers"], found["small.paint"]
    assert (echo.action, echo.effects, echo.flow, echo.idempotent) == ("read", "contained", "reader", True)
    assert (add.action, add.effects, add.flow, add.idempotent) == ("execute", "external", "sink", False)
    assert (paint.effects, paint.idempotent) == ("external", True)


def test_file_overrides_hints_tool_over_server() -> None:
    more = {"effects": "contained", "profile": "default", "tools": {"echo": None, "paint": {"action": "paint"}}}
    found = tools(more=more)
    assert set(found) == {"small.echo", "small.paint"}
    assert (found["small.paint"].schema.action, found["small.paint"].schema.effects) == ("paint", "contained")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"small.lock.json": None}, "nobody has reviewed what this server offers"),
        ({"small.lock.json": "{"}, "small.lock.json: not JSON"),
        ({"small.lock.json": "{}"}, "small.lock.json: command: Field required"),
        ({"small.lock.json": lock_of("changed")}, "command: tools/small.lock.json was made for"),
        ({"small.lock.json": lock_of().replace("Say it", "Send it")}, "not the one that its digest names"),
        (
            {"small.lock.json": lock_of("", {**ECHO, "name": "a.b"}, {**ECHO, "name": "a_b"})},
            "would both be small.a_b",
        ),
        ({"small.lock.json": lock_of("", {**ECHO, "name": "x" * 60})}, "names of at most 64 characters"),
        ({"small.lock.json": lock_of("", {**ECHO, "name": "日本"})}, "has no name that a tool can have here"),
        (
            {"small.lock.json": lock_of("", {"name": "x", "inputSchema": {"$ref": "http://x/y"}})},
            "leads to nothing",
        ),
        ({"small.lock.json": lock_of("", {"name": "x", "inputSchema": {"type": "string"}})}, "as one object"),
    ],
)
def test_unreviewed_server_does_not_compile(changed: dict[str, str | None], told: str) -> None:
    given = {name: text for name, text in {**files(), **changed}.items() if text is not None}
    found, problems = compile_files(given)
    assert found == {}
    assert told in problems[0]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"tools": ["ecko"]}, "tools.ecko: the reviewed server offers no such tool (did you mean 'echo'?)"),
        (
            {"tools": {"echo": {"resource": "x:{txt}"}}},
            "{txt}, and there is no such parameter (did you mean 'text'?)",
        ),
        ({"tools": []}, "tools: names none"),
        ({"tools": {"echo": {"efects": "external"}}}, "tools.echo.efects: no such key"),
        ({"url": "http://x"}, "url: no such key"),
    ],
)
def test_mistake_in_the_file_is_told(more: dict[str, Any], told: str) -> None:
    assert any(told in line for line in compile_files(files(more=more))[1])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_host_and_guest_pin_alike(anything: Any) -> None:
    definition = {"name": "x", "inputSchema": anything}
    assert pin(definition) == guest_mcp.pin(json.loads(json.dumps(definition)))


# -- calling ---------------------------------------------------------------------------------------------------


@pytest.mark.docker
async def test_server_is_asked_in_its_sandbox(driver, blobs) -> None:
    result = await run(driver, blobs, tools()["small.echo"], text="hello ", times="2")
    assert value(result) == "hello hello "


async def test_file_of_the_run_is_no_module_of_the_server(quick, blobs) -> None:
    planted = blobs.tree({"json.py": b"raise SystemExit('hijacked')"})
    echo = tools(more={"workspace": "read"})["small.echo"]
    assert value(await run(quick, blobs, echo, text="x", _files=planted)) == "x"
    open_path = tools(more={"workspace": "read", "environment": {"PYTHONSAFEPATH": ""}})["small.echo"]
    assert "hijacked" in (await run(quick, blobs, open_path, text="x", _files=planted)).error


async def test_structured_content_is_the_value(quick, blobs) -> None:
    add = tools()["small.add_numbers"]
    assert value(await run(quick, blobs, add, a="0.5", b=2)) == {"sum": "2.5"}


async def test_result_beside_its_schema_is_an_error(quick, blobs) -> None:
    result = await run(quick, blobs, tools("wrong_result")["small.add_numbers"], a=1, b="1")
    assert (result.status, result.value) == ("error", None)


async def test_bytes_become_artifacts(quick, blobs) -> None:
    result = await run(quick, blobs, tools()["small.paint"])
    assert [artifact.name for artifact in result.artifacts] == ["content-1.png"]
    assert blobs.get(result.artifacts[0].digest) == b"\x89PNG\r\n\x1a\n"
    assert value(result).startswith("[artifact content-1.png: 8 bytes of image/png]\n\nnotes")


async def test_requests_of_the_server_are_refused_politely(quick, blobs) -> None:
    assert value(await run(quick, blobs, tools("asks")["small.echo"], text="x")) == "s1 -32601 s2 {}"


async def test_changed_definition_is_not_called(quick, blobs) -> None:
    # The lock says that it reviewed what this server no longer says.
    found, problems = compile_files(files("changed", lock=lock_of("changed", {**ECHO}, ADD)))
    assert problems == []
    result = await run(quick, blobs, found["small.echo"], text="x")
    assert result.status == "error"
    assert "otherwise than when it was reviewed; nothing was called" in result.error


async def test_vanished_tool_is_not_called(quick, blobs) -> None:
    found, _ = compile_files(files(lock=lock_of("", {**ECHO, "name": "gone"})))
    result = await run(quick, blobs, found["small.gone"], text="x")
    assert "offers no tool 'gone'; nothing was called" in result.error


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("dies", "ended before it answered initialize\n[its stderr]\nstarting\ncannot open the shop"),
        ("chatters", "wrote what is no message of the protocol: 'Listening on stdio!'"),
        ("old", "speaks protocol '1999-01-01'; Interlock speaks 2024-11-05"),
        ("no_tools", "offers no tools"),
        ("nameless", "lists tools without a name"),
        ("endless_pages", "lists more than"),
        ("floods", "sent more than"),
        ("floods_messages", "sent more than 10000 messages"),
        ("other_id", "answered '999', and was asked"),
        ("refuses", "refuses tools/call: not today (-32000)"),
        ("fails", "no paint left"),
        ("no_base64", "no base64"),
    ],
)
async def test_bad_server_is_a_clear_error(quick, blobs, how: str, told: str) -> None:
    found = tools(how)
    tool = found["small.paint"] if how in ("fails", "no_base64") else found["small.echo"]
    arguments = {} if tool.schema.name == "small.paint" else {"text": "x"}
    result = await run(quick, blobs, tool, **arguments)
    assert (result.status, result.value) == ("error", None)
    assert told in result.error


async def test_silent_server_is_ended_in_time(quick, blobs) -> None:
    result = await run(quick, blobs, tools("silent")["small.echo"], text="x", _limits={"time_s": 2})
    assert "did not answer initialize in time" in result.error


@pytest.mark.docker
async def test_missing_server_is_told(driver, blobs) -> None:
    definition = {"kind": "mcp", "command": ["python3", "-m", "no_such_server"]}
    lock = Lock.model_validate_json(lock_of()).model_copy(update={"command": tuple(definition["command"])})
    found, _ = compile_files({"small.yaml": json.dumps(definition), "small.lock.json": lock.written().decode()})
    call = call_of(found["small.echo"], {"text": "x"})
    result = await driver.run(call, blobs)
    assert "No module named no_such_server" in result.error
