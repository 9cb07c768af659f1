"""Every kind of tool gets its call's key, and can be asked whether the call happened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.bank import Bank, bank
from support.declared import call_of, compile_files, one
from support.payments import DOCUMENT

from interlock.definitions.declared import Lock, LockedTool, pin
from interlock.definitions.tool import KEY_PARAMETER, KEY_VARIABLE
from interlock.sandbox import InProcessDriver, SandboxResult
from interlock.sandbox.guest import key
from interlock.settings import Settings
from interlock.types import Tree

KEY = "4fe5b0d2"
TEXT = {"type": "string"}
PAY = {
    "name": "pay",
    "inputSchema": {
        "type": "object",
        "properties": {"to": TEXT, "idempotency_key": TEXT},
        "required": ["to", "idempotency_key"],
    },
}
SERVER = f"""
import json, sys
def answer(asked):
    if asked["method"] == "initialize":
        return {{"protocolVersion": "2025-06-18", "capabilities": {{"tools": {{}}}}, "serverInfo": {{}}}}
    if asked["method"] == "tools/list":
        return {{"tools": [{PAY!r}]}}
    return {{"content": [{{"type": "text", "text": json.dumps(asked["params"]["arguments"])}}]}}
for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked:
        print(json.dumps({{"jsonrpc": "2.0", "id": asked["id"], "result": answer(asked)}}), flush=True)
"""
COMMAND = """
kind: command
description: d
action: pay
effects: external
result: text
parameters: {to: string}
argv: [sh, -c, 'echo "$0 $1 $INTERLOCK_IDEMPOTENCY_KEY $(cat)"', "{to}", "{idempotency_key}"]
stdin: "{idempotency_key}"
reconcile: {argv: [sh, -c, 'echo "$0 $1"; exit $0', "{to}", "{idempotency_key}"], not_done: [44]}
"""


@pytest.fixture
def quick(settings: Settings) -> InProcessDriver:
    return InProcessDriver(
        settings.model_copy(update={"sandbox_driver": "in_process", "unsafe_in_process": "tests"})
    )


@pytest.fixture
def books() -> Iterator[Bank]:
    with bank() as found:
        yield found


async def ran(driver: Any, blobs: Any, tool: Any, own_key: str = KEY, asks: bool = False, **given: Any) -> Any:
    """What a call, or a question about it, gave."""
    tree = given.pop("files", None) or Tree()
    call = call_of(tool, given, idempotency_key=own_key, asks=asks, workspace=tree)
    result: SandboxResult = await driver.run(call, blobs)
    return json.loads(result.value) if result.value else result.error


def test_guest_and_authoring_names_are_one() -> None:
    assert KEY_VARIABLE == key.VARIABLE
    assert KEY_PARAMETER == key.PARAMETER


async def test_command_gets_its_key(quick, blobs) -> None:
    tool = one(COMMAND)
    assert list(tool.schema.parameters["properties"]) == ["to"]
    assert await ran(quick, blobs, tool, to="a") == f"a {KEY} {KEY} {KEY}\n"


async def test_command_without_its_key_does_not_run(quick, blobs) -> None:
    assert await ran(quick, blobs, one(COMMAND), own_key="", to="a") == "this call has no idempotency key"


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("0", {"answer": "done", "result": f"0 {KEY}\n"}),
        ("44", {"answer": "not_done"}),
        ("1", {"answer": "unknown", "reason": f"exit code 1\n1 {KEY}"}),
    ],
)
async def test_exit_code_answers_for_a_command(quick, blobs, code, answer) -> None:
    assert await ran(quick, blobs, one(COMMAND), asks=True, to=code) == answer


async def test_kind_without_reconcile_is_not_asked(quick, blobs) -> None:
    tool = one(COMMAND.partition("reconcile")[0])
    assert await ran(quick, blobs, tool, asks=True, to="0") == "the tool has no reconcile"


async def test_shell_never_keeps_a_key(quick, blobs) -> None:
    """Exported variables go on to the run's next call; a key is one call's."""
    tool = one("kind: shell\ndescription: d\n")
    first = call_of(tool, {"command": "export OTHER=kept; export INTERLOCK_IDEMPOTENCY_KEY"}, idempotency_key=KEY)
    tree = (await quick.run(first, blobs)).workspace
    second = {"command": 'echo "$OTHER ${INTERLOCK_IDEMPOTENCY_KEY-none}"', "files": tree}
    assert (await ran(quick, blobs, tool, own_key="", **second))["stdout"] == "kept none\n"
    assert (await ran(quick, blobs, tool, own_key="next", **second))["stdout"] == "kept next\n"


async def test_mcp_server_gets_its_key(quick, blobs) -> None:
    command = ("python3", "-c", SERVER)
    pinned = {"pay": LockedTool(digest=pin(PAY), definition=PAY)}
    lock = Lock(command=command, server="small 1", protocol="2025-06-18", tools=pinned).written().decode()
    definition = {"kind": "mcp", "command": command}
    found, problems = compile_files({"small.yaml": json.dumps(definition), "small.lock.json": lock})
    assert problems == []
    tool = found["small.pay"]
    assert (list(tool.schema.parameters["properties"]), tool.schema.parameters["required"]) == (["to"], ["to"])
    assert json.loads(await ran(quick, blobs, tool, to="a")) == {"to": "a", "idempotency_key": KEY}


def http_tool(books: Bank, **more: Any) -> Any:
    definition = {"kind": "http", "document": "b.json", "server": f"http://localhost:{books.port}", **more}
    found, problems = compile_files({"t.yaml": json.dumps(definition), "b.json": DOCUMENT})
    assert problems == []
    return found["t"]


async def test_http_operation_sends_its_key(quick, blobs, books) -> None:
    tool = http_tool(books, operation="makePayment")
    assert list(tool.schema.parameters["properties"]) == ["body"]
    paid = await ran(quick, blobs, tool, body={"account": "a"})
    assert books.payments == {KEY: paid}
    assert await ran(quick, blobs, tool, own_key="", body={"account": "a"}) == "this call has no idempotency key"


async def test_header_may_be_named_by_the_definition(quick, blobs, books) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    document["paths"]["/payments"]["post"]["parameters"] = []
    definition = {"kind": "http", "document": "b.json", "server": f"http://localhost:{books.port}"}
    definition |= {"operation": "makePayment", "idempotency_header": "Idempotency-Key"}
    found, problems = compile_files({"t.yaml": json.dumps(definition), "b.json": document})
    assert problems == []
    await ran(quick, blobs, found["t"], body={"account": "a"})
    assert list(books.payments) == [KEY]


async def test_http_operation_is_asked_about(quick, blobs, books) -> None:
    tool = http_tool(books, operation="makePayment", reconcile={"operation": "getPayment", "not_done": [404]})
    asked = {"asks": True, "body": {"account": "a"}}
    assert await ran(quick, blobs, tool, **asked) == {"answer": "not_done"}
    paid = await ran(quick, blobs, tool, body={"account": "a"})
    assert await ran(quick, blobs, tool, **asked) == {"answer": "done", "result": paid}
    narrow = http_tool(books, operation="makePayment", reconcile={"operation": "getPayment", "not_done": [410]})
    assert "HTTP 404" in await ran(quick, blobs, narrow, own_key="other", **asked)
