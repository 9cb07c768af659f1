"""What runs beside a workflow and takes long does not change what replay computes: the record holds."""

from __future__ import annotations

import asyncio

import pytest
from support.runtime import running, settings_for
from support.small import call, small_project
from support.verifying import verified
from temporalio import activity

from interlock.errors import Unreachable
from interlock.run.contracts import OpenRun, RunFacts
from interlock.run.deciding import Deciding, failure
from interlock.run.steps import OPEN_RUN

pytestmark = pytest.mark.temporal
TURNS = [{"say": "one", "calls": [call("note", text="x")]}, {"say": "done"}]
SLOW_S = 9
"""Longer than a worker waits before it asks for another workflow task."""


BEFORE = Deciding.open_run


@activity.defn(name=OPEN_RUN)
async def slow(self, request: OpenRun) -> RunFacts:
    await asyncio.sleep(SLOW_S)
    return await BEFORE(self, request)


@activity.defn(name=OPEN_RUN)
async def away(self, request: OpenRun) -> RunFacts:
    """The store of blobs is away for a while."""
    self.tried = getattr(self, "tried", 0) + 1
    if self.tried < 6:
        raise failure(Unreachable("the blobs cannot be used"))
    return await BEFORE(self, request)


@pytest.mark.parametrize("body", [slow, away], ids=["slow", "away"])
async def test_long_step_beside_a_workflow_replays(body, temporal_address, tmp_path, monkeypatch):
    monkeypatch.setattr(Deciding, "open_run", body)
    root = small_project(tmp_path / "project", TURNS)
    async with running(settings_for(root, temporal_address, name=f"beside-{body.__name__}")) as runtime:
        run = await runtime.start("tester", "go")
        assert (await runtime.client.wait(run)).status == "completed"
        await verified(runtime, run)
