"""What rules oblige the executor to is done, or the call does not run."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.runtime import Runtime, running, settings_for
from support.small import call, small_project

from interlock.events import CallFinished, CallRefused
from interlock.run.obligations import redacted, tightened
from interlock.types.access import Limits
from interlock.types.profile import Profile

RULES = r"""
rules:
  - id: notes
    effect: allow
    owner: tests
    agent: agent:tester
    tool: note
    redact: ['key-[0-9]+', '(?i)password: \S+']
    limits: {time_s: 5, memory_mib: 4096}
  - {id: saves, effect: allow, owner: tests, agent: agent:tester, tool: save, egress: api.example.org}
"""


async def ran(temporal_address: str, root: Path, name: str, tool: str, text: str) -> tuple[Runtime, str]:
    small_project(root, [{"calls": [call(tool, text=text)]}, {"say": "done"}])
    (root / "permissions" / "rules.yaml").write_text(RULES)
    async with running(settings_for(root, temporal_address, name=name)) as runtime:
        run = await runtime.start("agent_run", {"agent": "tester", "task": "go"})
        await runtime.client.wait(run)
        return runtime, run


@pytest.mark.temporal
async def test_redacted_text_is_stored_nowhere(temporal_address: str, tmp_path: Path) -> None:
    said = "the key-4711 and Password: hunter2, and a keyring"
    runtime, run = await ran(temporal_address, tmp_path / "project", "redacts", "note", said)
    done = next(e for e in runtime.ledger.events(run) if isinstance(e, CallFinished))
    assert runtime.text(done.output) == "noted the [redacted] and [redacted] and a keyring"


@pytest.mark.temporal
async def test_way_out_for_no_sink_is_refused(temporal_address: str, tmp_path: Path) -> None:
    runtime, run = await ran(temporal_address, tmp_path / "project", "egress", "save", "x")
    events = runtime.ledger.events(run)
    refused = next(e for e in events if isinstance(e, CallRefused))
    assert "is declared as a writer" in refused.detail
    assert refused.by == "executor"
    assert not any(isinstance(e, CallFinished) for e in events)


def test_limits_only_tighten() -> None:
    profile = tightened(Profile(name="default", time_s=60, pids=64), Limits(time_s=5, pids=4096))
    assert (profile.time_s, profile.pids, profile.memory_mib) == (5, 64, 512)


def test_no_limits_leave_the_profile() -> None:
    assert tightened(Profile(name="default"), None) == Profile(name="default")


def test_redaction_takes_linear_time() -> None:
    assert redacted("a" * 200_000, ("(a+)+b",)) == "a" * 200_000
