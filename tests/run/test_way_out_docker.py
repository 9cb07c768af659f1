"""A governed call that reaches a real server: what left is in the chain, and its secret is nowhere but there."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support import forked
from support.egress import TOKEN, Service, service
from support.runtime import Runtime, eventually, running, settings_for
from support.scenario import Tool, call, playbook, project

from interlock.events import CallFinished, CallRefused, EgressRequested
from interlock.run.histories import fetch_history
from interlock.run.live import LiveOutput, live_run
from interlock.sandbox import build_image

pytestmark = [pytest.mark.docker, pytest.mark.temporal]

ASK = """
import urllib.error, urllib.request
try:
    request = urllib.request.Request(f"http://localhost:{PORT}{text}", data=b"x" if "issues" in text else None)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return f"{answer.status} {answer.read().decode()}"
except urllib.error.HTTPError as error:
    return f"{error.code} {error.read().decode()}"
"""
FLOOD = """
import urllib.error, urllib.request
refused = 0
for number in range(400):
    try:
        urllib.request.urlopen(f"http://localhost:{PORT}/" + "x" * 5000, timeout=10)
    except urllib.error.HTTPError as error:
        refused += error.code == 403
return str(refused)
"""
SINK = 'action="publish", effects="external", credentials=("tracker",)'
SLOW = "for number in range(100):\n    print('line', number, flush=True)\n    time.sleep(0.2)\nreturn 'slow'"
CREDENTIALS = """
credentials:
  - {name: tracker, source: 'env:TRACKER_TOKEN', hosts: localhost, http: true}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Service]:
    with service() as found:
        yield found


@pytest.fixture(scope="module")
async def runtime(
    server: Service, temporal_address: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Runtime]:
    reach = {"host": "localhost", "port": server.port, "scheme": "http", "private": True}
    grant = {"id": "files", "effect": "allow", "agent": "agent:*", "tool": "ask_server"}
    rules = [
        {
            **grant,
            "egress": [{**reach, "methods": ["POST", "GET"], "paths": ["/issues", "/mute"]}],
            "credentials": ["tracker"],
        },
        {"id": "slow", "effect": "allow", "agent": "agent:*", "tool": "slow"},
        {"id": "quiet", "effect": "allow", "agent": "agent:*", "tool": "quiet", "redact": ["line"]},
        {**grant, "id": "flood", "tool": "flood", "egress": [reach], "credentials": ["tracker"]},
        {**grant, "id": "ungranted", "tool": "unkeyed", "egress": [reach]},
    ]
    body = ASK.replace("PORT", str(server.port))
    tools = {
        "ask_server": Tool(body, SINK),
        "unkeyed": Tool(body, SINK),
        "flood": Tool(FLOOD.replace("PORT", str(server.port)), SINK),
        "slow": Tool(SLOW),
        "quiet": Tool(SLOW),
    }
    agents = {
        "filer": playbook(call("ask_server", text="/issues"), call("ask_server", text="/other")),
        "muted": playbook(call("ask_server", text="/mute")),
        "keyless": playbook(call("unkeyed", text="/issues")),
        "flooder": playbook(call("flood", text="")),
        "slowly": playbook(call("slow", text="")),
        "quietly": playbook(call("quiet", text="")),
    }
    root = project(tmp_path_factory.mktemp("way-out") / "project", tools, agents, rules)
    (root / "permissions" / "credentials.yaml").write_text(CREDENTIALS)
    settings = settings_for(root, temporal_address, name="way-out", sandbox_driver="docker")
    await asyncio.to_thread(build_image, settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKER_TOKEN", TOKEN)
        async with running(settings) as found:
            yield found


async def test_requests_are_events_and_secrets_are_nowhere(runtime: Runtime, server: Service) -> None:
    run = await runtime.start("filer", "go")
    assert (await runtime.client.wait(run)).status == "completed"
    events = runtime.ledger.events(run)
    sent, refused = (event.request for event in events if isinstance(event, EgressRequested))
    assert (sent.verdict, sent.method, sent.path, sent.status, sent.sent) == ("sent", "POST", "/issues", 200, 1)
    assert sent.credential == "tracker"
    assert (refused.verdict, refused.method, refused.path) == ("refused", "GET", "/other")
    first, second = (runtime.text(event.output) for event in events if isinstance(event, CallFinished))
    assert first.startswith("200")
    assert second.startswith("403")
    assert [seen.header("Authorization") for seen in server.seen if seen.path == "/issues"] == [[f"Bearer {TOKEN}"]]
    assert await differences(runtime, run) == []
    assert TOKEN not in (await fetch_history(runtime.temporal, run)).to_json()
    assert [path for path in _files(runtime.settings.root) if TOKEN.encode() in path.read_bytes()] == []


def _files(root: Path) -> list[Path]:
    """All that the project and its state hold; what SQLite still has in its log is written out first."""
    for store in root.rglob("*.db"):
        sqlite3.connect(store).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    return [path for path in root.rglob("*") if path.is_file()]


async def test_cancelled_call_hides_no_request(runtime: Runtime, server: Service) -> None:
    run = await runtime.start("muted", "go")
    await eventually(lambda: any(seen.path == "/mute" for seen in server.seen))
    await runtime.client.control(run, "cancel", by="user:carol", reason="takes too long")
    assert (await runtime.client.wait(run)).status == "cancelled"
    server.released.set()
    (request,) = [event.request for event in runtime.ledger.events(run) if isinstance(event, EgressRequested)]
    assert (request.verdict, request.path, request.credential) == ("failed", "/mute", "tracker")
    assert await differences(runtime, run) == []


async def test_request_left_out_of_the_chain_is_found(runtime: Runtime) -> None:
    """Somebody who owns the database adds to what left; so would a chain that tells less than the ledger."""
    run = await runtime.start("filer", "go")
    await runtime.client.wait(run)
    hidden = next(e.request for e in runtime.ledger.events(run) if isinstance(e, EgressRequested))
    runtime.ledger.leaving(f"{run}:c1", hidden.model_copy(update={"number": 99, "path": "/hidden"}))
    assert any("/hidden" in text for text in await differences(runtime, run))


async def differences(runtime: Runtime, run: str) -> list[str]:
    verdict = await runtime.verdict(run)
    return [difference.message for difference in verdict.differences]


async def test_flood_of_requests_fits_the_record(runtime: Runtime) -> None:
    run = await runtime.start("flooder", "go")
    assert (await runtime.client.wait(run)).status == "completed"
    events = runtime.ledger.events(run)
    requests = [event.request for event in events if isinstance(event, EgressRequested)]
    assert len(requests) == 301
    assert "99 more followed" in requests[-1].reason
    (finished,) = [event for event in events if isinstance(event, CallFinished)]
    assert runtime.text(finished.output) == "100"
    assert len((await fetch_history(runtime.temporal, run)).to_json()) < 2_000_000


async def test_captured_call_sends_nothing(runtime: Runtime, server: Service) -> None:
    before = len(server.seen)
    told = await asyncio.to_thread(
        subprocess.run,
        [
            *(forked.command(), "tool", "call", "ask_server", "--capture", "--json"),
            *("--agent", "filer", "--as", "user:alice", "--arguments", '{"text": "/issues"}'),
        ],
        capture_output=True,
        text=True,
        cwd=runtime.settings.root,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    (request,) = json.loads(told.stdout)["requests"]
    assert (request["verdict"], request["path"], request["credential"]) == ("captured", "/issues", "tracker")
    assert len(server.seen) == before


async def test_ungranted_credential_keeps_the_call_from_running(runtime: Runtime, server: Service) -> None:
    before = len(server.seen)
    run = await runtime.start("keyless", "go")
    await runtime.client.wait(run)
    (refused,) = [event for event in runtime.ledger.events(run) if isinstance(event, CallRefused)]
    assert (refused.by, "does not grant" in refused.detail) == ("executor", True)
    assert len(server.seen) == before


async def first_seen(runtime: Runtime, run: str) -> LiveOutput:
    """What is told of the run's call, as soon as it has printed."""
    for _ in range(300):
        for seen in (await live_run(runtime.temporal, run)).calls:
            if seen.printed:
                return seen
        await asyncio.sleep(0.1)
    raise AssertionError("nothing was seen")


async def test_output_is_seen_while_the_call_runs(runtime: Runtime) -> None:
    run = await runtime.start("slowly", "go")
    seen = await first_seen(runtime, run)
    assert "line" in seen.tail
    assert seen.printed >= len(seen.tail)
    await runtime.client.control(run, "cancel", by="user:carol", reason="seen enough")
    await runtime.client.wait(run)
    assert (await live_run(runtime.temporal, run)).calls == []


async def test_redacted_output_is_not_seen_before_the_end(runtime: Runtime) -> None:
    run = await runtime.start("quietly", "go")
    seen = await first_seen(runtime, run)
    assert (seen.withheld, seen.tail) == (True, "")
    await runtime.client.control(run, "cancel", by="user:carol", reason="seen enough")
    await runtime.client.wait(run)
