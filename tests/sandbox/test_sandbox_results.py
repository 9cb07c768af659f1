"""What a tool returns, raises and prints reaches the caller; what has no canonical form does not."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.docker

TYPED = '''
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal, Optional, TypedDict
from interlock import tool

@dataclass
class Line:
    price: Decimal
    count: int = 1

class Total(TypedDict):
    total: Decimal
    kinds: list[str]

@tool(action="read")
def t(lines: list[Line], currency: Literal["EUR", "USD"], note: Optional[str] = None) -> Total:
    """Add up."""
    assert all(type(line) is Line and type(line.price) is Decimal for line in lines)
    return {"total": sum((line.price * line.count for line in lines), Decimal(0)), "kinds": [currency, str(note)]}
'''


async def test_declared_types_travel_both_ways(run_tool):
    arguments = {"lines": [{"price": "1.10", "count": 3}, {"price": "2"}], "currency": "EUR"}
    result = await run_tool(TYPED, arguments=arguments)
    assert result.status == "ok", result.error
    assert result.value == b'{"kinds":["EUR","None"],"total":"5.30"}'


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"lines": [{"price": 1}], "currency": "EUR"}, "lines[0].price"),
        ({"lines": [], "currency": "GBP"}, "currency"),
        ({"lines": []}, "'currency' is missing"),
        ({"lines": [], "currency": "EUR", "extra": 1}, "'extra'"),
    ],
)
async def test_unfit_arguments_are_named(run_tool, arguments, named):
    result = await run_tool(TYPED, arguments=arguments)
    assert result.status == "error"
    assert named in result.error


async def test_exception_shows_tools_own_frames(run_tool):
    source = '''
    from interlock import tool

    def inner(text):
        return int(text)

    @tool(action="read")
    def t() -> int:
        """Fail."""
        return inner("x")
    '''
    result = await run_tool(source)
    assert result.status == "error"
    assert "tools/t.py" in result.error
    assert 'return inner("x")' in result.error
    assert result.error.endswith("ValueError: invalid literal for int() with base 10: 'x'")
    assert "runner" not in result.error
    assert "/opt/interlock" not in result.error


@pytest.mark.parametrize(
    ("returns", "value", "said"),
    [
        ("int", "1.5", "float has no canonical form"),
        ("str", "b'x'", "got bytes"),
        ("int", "'7'", "expected int, got str"),
        ("list[int]", "[1, 2.0]", "result[1]"),
        ("dict[str, float]", "{'a': 1.0}", "float has no canonical JSON form"),
        ("int", "2**60", "2^53"),
        ("dict[str, str]", "{'é': 'x'}", "ASCII"),
    ],
)
async def test_result_outside_its_type_is_error(run_tool, returns, value, said):
    result = await run_tool(f"return {value}", returns=returns)
    assert result.status == "error"
    assert said in result.error


async def test_source_that_raises_is_error(run_tool):
    result = await run_tool("@tool\nimport nothing_of_the_kind")
    assert result.status == "error"
    result = await run_tool("import nothing_of_the_kind  # @tool")
    assert "No module named 'nothing_of_the_kind'" in result.error


async def test_source_without_the_tool_is_error(run_tool):
    result = await run_tool("return None", tool="another")
    assert result.status == "error"
    assert "no tool 'another'" in result.error


async def test_leaving_without_result_is_error(run_tool):
    result = await run_tool("os._exit(0)")
    assert result.status == "error"
    assert "exit code 0 instead of returning" in result.error


async def test_system_exit_is_error(run_tool):
    result = await run_tool("sys.exit(0)")
    assert result.status == "error"
    assert "SystemExit" in result.error


async def test_death_by_signal_is_killed(run_tool):
    result = await run_tool("os.kill(os.getpid(), 11)")
    assert result.status == "killed"
    assert "SIGSEGV" in result.error


async def test_streams_are_kept_apart(run_tool):
    result = await run_tool("print('to out'); print('to err', file=sys.stderr); os.system('echo from shell')")
    assert result.stdout.splitlines() == ["from shell", "to out"] or "from shell" in result.stdout
    assert result.stderr == "to err\n"


async def test_invalid_utf8_is_replaced(run_tool):
    result = await run_tool(r"os.write(1, b'caf\xe9 \x00 \xff\n')")
    assert result.status == "ok"
    assert result.stdout == "caf\ufffd \x00 \ufffd\n"


async def test_artifacts_are_stored_by_digest(run_tool, blobs):
    result = await run_tool("artifact('report.txt', 'hello'); artifact('raw', bytes(range(256)))")
    assert {(a.name, blobs.get(a.digest), a.media_type) for a in result.artifacts} == {
        ("report.txt", b"hello", "text/plain"),
        ("raw", bytes(range(256)), "application/octet-stream"),
    }


async def test_artifacts_of_failed_tool_are_kept(run_tool, blobs):
    result = await run_tool("artifact('log', 'so far'); raise ValueError('no')")
    assert result.status == "error"
    assert [blobs.get(a.digest) for a in result.artifacts] == [b"so far"]


async def test_times_and_image_are_recorded(run_tool, image):
    result = await run_tool("return None")
    assert result.value == b"null"
    assert result.image == image
    assert result.started_at.utcoffset() is not None
    assert result.started_at <= result.ended_at


async def test_large_arguments_travel_whole(run_tool):
    source = '''
    from interlock import tool

    @tool(action="read")
    def t(text: str) -> int:
        """Measure."""
        return len(text)
    '''
    text = "x" * 3_000_000
    assert json.loads((await run_tool(source, arguments={"text": text})).value) == len(text)
