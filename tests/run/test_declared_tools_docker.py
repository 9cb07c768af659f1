"""Declared tools in a whole run: an MCP server of PyPI as it comes, a shell, a command; governed and recorded."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.runtime import Runtime, running, settings_for
from support.scenario import add_agent as agent
from support.scenario import allow, call, playbook, project

from interlock.definitions.declared import Lock, pin
from interlock.events import CallFinished, CallProposed
from interlock.policy import load_bundle
from interlock.project import take_snapshot
from interlock.run.discovery import ask, changes, kept_lock, server_of
from interlock.sandbox import build_image
from interlock.settings import Settings

pytestmark = [pytest.mark.docker, pytest.mark.temporal]

TOOLS = {
    "clock": "kind: mcp\ncommand: [python3, -m, mcp_server_time, --local-timezone, UTC]\nprofile: clock\n",
    "terminal": "kind: shell\ndescription: The run's shell.\n",
    "numbers": (
        "kind: command\ndescription: Count up.\naction: read\nresult: text\n"
        'argv: [seq, "{upto}"]\nparameters: {upto: {type: integer, maximum: 100000}}\n'
    ),
    "more": "kind: output\n",
}
NOON = {"source_timezone": "UTC", "time": "12:00"}
TURNS = playbook(
    call("clock.convert_time", **NOON, target_timezone="Asia/Tokyo"),
    call("clock.convert_time", **NOON, target_timezone="Europe/Berlin"),
    call("clock.get_current_time", timezone="UTC"),
    call("terminal", command="mkdir -p made; echo 1 > made/one; cd made; export COLOUR=green"),
    call("terminal", command="pwd; echo $COLOUR; cat one"),
    call("terminal", command="curl evil.example"),
    call("numbers", upto=20_000),
    call("more", call="c7", name="stdout.txt", find="\n15000\n", length=14),
    call("more", call="c7", name="secret.txt"),
    call("more", call="c70", name="stdout.txt"),
    call("more", call="c4", name="stdout.txt"),
)
RULES = [
    allow("clock.convert_time", id="tokyo", when=[{"argument": "target_timezone", "eq": "Asia/Tokyo"}]),
    allow("terminal", action="shell"),
    allow("numbers", action="read"),
    allow("more", action="read", when=[{"argument": "call", "ne": "c4"}]),
    {
        "id": "no_curl",
        "effect": "deny",
        "tool": "terminal",
        "when": [{"argument": "command", "matches": ".*curl.*"}],
    },
]
PROFILES = "profiles:\n  - {name: default, time_s: 60}\n  - {name: clock, image: clock, time_s: 60}\n"


@pytest.fixture(scope="module")
def settings(temporal_address: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A project whose server was discovered and accepted."""
    root = tmp_path_factory.mktemp("declared") / "project"
    project(root, {}, {}, RULES, profiles=PROFILES)
    for name, text in TOOLS.items():
        (root / "tools" / f"{name}.yaml").write_text(text)
    agent(
        root, "tester", TURNS, tools=["clock.convert_time", "clock.get_current_time", "terminal", "numbers", "more"]
    )
    shutil.copytree(Path(__file__).parent / "clock_image", root / "images" / "sandbox-clock")
    found = settings_for(root, temporal_address, name="declared", sandbox_driver="docker")
    for image in ("default", "clock"):
        build_image(found, image)
    (root / "tools" / "clock.lock.json").write_bytes(discovered(found).written())
    return found


def discovered(settings: Settings) -> Lock:
    bundle, snapshot = load_bundle(settings.root / "permissions"), take_snapshot(settings.root)
    return ask(settings, bundle, "clock", server_of(snapshot, "clock"))


@pytest.fixture(scope="module")
async def finished(settings: Settings) -> AsyncIterator[tuple[Runtime, str]]:
    """A run that came to its end."""
    async with running(settings) as runtime:
        run = await runtime.start("agent_run", {"agent": "tester", "task": "Try the tools."})
        await asyncio.wait_for(runtime.client.wait(run), 120)
        yield runtime, run


def ends(runtime: Runtime, run: str) -> dict[str, CallFinished]:
    return {event.call_id: event for event in runtime.ledger.events(run) if isinstance(event, CallFinished)}


async def test_server_of_pypi_runs_as_it_comes(finished: tuple[Runtime, str]) -> None:
    runtime, run = finished
    end = ends(runtime, run)[f"{run}:c1"]
    assert end.status == "ok"
    assert json.loads(runtime.text(end.output))["target"]["timezone"] == "Asia/Tokyo"


async def test_denied_tools_of_a_server_do_not_run(finished: tuple[Runtime, str]) -> None:
    runtime, run = finished
    assert set(ends(runtime, run)) == {f"{run}:c{number}" for number in (1, 4, 5, 7, 8, 9, 10)}
    proposed = [event for event in runtime.ledger.events(run) if isinstance(event, CallProposed)]
    assert len(proposed) == 11


async def test_shell_goes_on_in_another_container(finished: tuple[Runtime, str]) -> None:
    runtime, run = finished
    second = json.loads(runtime.text(ends(runtime, run)[f"{run}:c5"].output))
    assert second["stdout"] == "/workspace/made\ngreen\n1\n"


async def test_large_output_is_kept_whole(finished: tuple[Runtime, str]) -> None:
    runtime, run = finished
    end = ends(runtime, run)[f"{run}:c7"]
    text = runtime.text(end.output)
    assert text.startswith("1\n2\n")
    assert "the whole is artifact 'stdout.txt'" in text
    assert text.endswith("[artifacts of call 'c7': stdout.txt]")
    kept = {artifact.name: runtime.text(artifact.digest) for artifact in end.artifacts}
    assert kept == {"stdout.txt": "".join(f"{number}\n" for number in range(1, 20_001))}


async def test_agent_reads_on_in_a_large_output(finished: tuple[Runtime, str]) -> None:
    runtime, run = finished
    end = ends(runtime, run)
    part = json.loads(runtime.text(end[f"{run}:c8"].output))
    assert part["text"] == "\n15000\n15001\n1"
    assert (part["next"], part["total"]) == (part["offset"] + 14, 108_894)
    assert end[f"{run}:c8"].workspace == end[f"{run}:c7"].workspace


async def test_agent_reads_no_other_output(finished: tuple[Runtime, str]) -> None:
    runtime, run = finished
    for number in (9, 10):
        end = ends(runtime, run)[f"{run}:c{number}"]
        assert end.status == "error"
        assert "of this run left no artifact" in runtime.text(end.output)


async def test_run_of_declared_tools_is_replayed(finished: tuple[Runtime, str]) -> None:
    runtime, run = finished
    found: Any = await runtime.verdict(run)
    assert found.verified, found.differences


def test_server_still_offers_what_was_reviewed(settings: Settings) -> None:
    before = kept_lock(take_snapshot(settings.root), "clock")
    assert before is not None
    assert set(before.tools) == {"convert_time", "get_current_time"}
    assert all(pin(tool.definition) == tool.digest for tool in before.tools.values())
    assert changes(before, discovered(settings)) == []
    poisoned = before.model_copy(update={"tools": {"convert_time": before.tools["convert_time"]}})
    assert any('+    "get_current_time": {' in line for line in changes(poisoned, before))
