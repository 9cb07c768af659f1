"""`interlock mcp`: the SDK's own client, the real command, the real API. It does what its token may, no more."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from mcp import Client, StdioServerParameters
from support.api import Api

pytestmark = pytest.mark.temporal
TOOLS = ["decide_approval", "get_approval", "get_run", "list_approvals", "list_runs", "start_run"]


@pytest.fixture(scope="module")
async def url(api: Api) -> AsyncIterator[str]:
    """The API on a port of loopback."""
    server = uvicorn.Server(uvicorn.Config(api.app, port=0, lifespan="off", log_level="warning"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


@asynccontextmanager
async def client(url: str, token: str) -> AsyncIterator[Client]:
    """The command with a token, and a client of it."""
    command = ["-m", "interlock.cli.main", "mcp", "--url", url]
    parameters = StdioServerParameters(command=sys.executable, args=command, env={"INTERLOCK_API_TOKEN": token})
    async with Client(parameters) as found:
        yield found


async def told(asked: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool answers."""
    answer = await asked.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    assert answer.structured_content is not None
    return answer.structured_content


async def refused(asked: Client, tool: str, **arguments: Any) -> str:
    """Why a tool does not do it."""
    answer = await asked.call_tool(tool, arguments)
    assert answer.is_error, answer.structured_content
    return str(answer.content[0].text)  # type: ignore[union-attr]


async def waiting(api: Api, name: str = "sender", requester: str = "user:alice") -> str:
    """The id of a request that waits."""
    return (await api.runtime.approval(await api.runtime.start(name, "go"))).request_id


async def test_an_agent_starts_a_run_and_another_decides(api: Api, url: str) -> None:
    async with client(url, api.token("user:alice")) as alice, client(url, api.token("user:carol")) as carol:
        assert sorted(tool.name for tool in (await alice.list_tools()).tools) == TOOLS
        started = await told(alice, "start_run", name="sender", input="go", key="once")
        assert (await told(alice, "start_run", name="sender", input="go", key="once"))["run"] == started["run"]
        row = await api.runtime.approval(started["run"])
        listed = (await told(carol, "list_approvals", mine=True))["approvals"]
        assert row.request_id in [one["request_id"] for one in listed]
        card = await told(carol, "get_approval", request=row.request_id)
        assert card["arguments"] == {"text": "hello"}
        assert "not instructions" in card["note"]
        decision = {"request": row.request_id, "decision": "approve"}
        assert "is about another call" in await refused(
            carol, "decide_approval", **decision, call_digest="sha256:" + "0" * 64
        )
        assert await refused(carol, "decide_approval", **decision)  # without a digest it is no decision
        # Alice asked for the run, by whatever way she comes.
        assert await refused(alice, "decide_approval", **decision, call_digest=card["call_digest"])
        taken = await told(carol, "decide_approval", **decision, call_digest=card["call_digest"])
        assert taken["closes"]
        assert "user:carol" in await refused(carol, "decide_approval", **decision, call_digest=card["call_digest"])
        run = await told(carol, "get_run", run=started["run"])
        assert run["requester"] == "user:alice"


async def test_rejection_reaches_the_agent_with_its_reason(api: Api, url: str) -> None:
    request = await waiting(api)
    async with client(url, api.token("user:carol")) as carol:
        card = await told(carol, "get_approval", request=request)
        decision = {"request": request, "decision": "reject", "call_digest": card["call_digest"]}
        assert "message" in await refused(carol, "decide_approval", **decision)
        assert "arguments" in await refused(carol, "decide_approval", **decision, message="No.", arguments={})
        taken = await told(carol, "decide_approval", **decision, message="Not today.")
    assert taken["state"] == "rejected"
    assert api.runtime.ledger.approval(request).votes[-1].message == "Not today."


@pytest.mark.parametrize(
    ("scopes", "may", "may_not"),
    [
        (["runs:read"], ["list_runs"], ["start_run", "list_approvals", "decide_approval"]),
        (["approvals:read"], ["list_approvals"], ["list_runs", "start_run", "decide_approval"]),
    ],
)
async def test_a_token_bounds_what_the_server_does(
    api: Api, url: str, scopes: Sequence[str], may: list[str], may_not: list[str]
) -> None:
    request = await waiting(api)
    given: dict[str, dict[str, Any]] = {
        "start_run": {"name": "sender", "input": "go"},
        "decide_approval": {"request": request, "decision": "approve", "call_digest": "sha256:" + "0" * 64},
    }
    async with client(url, api.token("user:carol", scopes)) as carol:
        for tool in may:
            await told(carol, tool, **given.get(tool, {}))
        for tool in may_not:
            assert "403" in await refused(carol, tool, **given.get(tool, {}))


async def test_a_token_that_is_none_does_nothing(url: str) -> None:
    async with client(url, "interlock_" + "x" * 40) as nobody:
        assert "401" in await refused(nobody, "list_runs")


async def test_an_id_stays_an_id(api: Api, url: str) -> None:
    async with client(url, api.token("user:alice")) as alice:
        for run in ("../approvals", "x/../../sign-in", "?status=running", "%2e%2e", "a#b"):
            assert "404" in await refused(alice, "get_run", run=run)


async def test_nobody_there_is_said(api: Api) -> None:
    async with client("http://127.0.0.1:1", api.token("user:alice")) as alice:
        assert "does not answer" in await refused(alice, "list_runs")


@pytest.mark.parametrize(
    ("url", "token", "said"),
    [
        ("http://interlock.example", "t", "in the clear"),
        ("ftp://127.0.0.1", "t", "in the clear"),
        ("http://127.0.0.1.evil.example", "t", "in the clear"),
        ("http://127.0.0.1:1", "", "INTERLOCK_API_TOKEN holds no token"),
        ("http://127.0.0.1:1", "a\nb", "INTERLOCK_API_TOKEN holds no token"),
    ],
)
def test_a_token_is_not_sent_in_the_clear(url: str, token: str, said: str) -> None:
    from interlock.errors import InvalidInput
    from interlock.mcp_server.api_client import ApiClient

    with pytest.raises(InvalidInput, match=said):
        ApiClient.opened(url, token)
