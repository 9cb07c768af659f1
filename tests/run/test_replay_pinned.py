"""What a run pins and what a receipt names is evidence too: altered or absent, replay names it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from support.runtime import Runtime, running, settings_for
from support.small import call, small_project
from temporalio.client import WorkflowHistory

from interlock.events import CallFinished
from interlock.run.histories import fetch_history
from interlock.run.receipt import Receipt
from interlock.run.replay import Verdict, replay
from interlock.signing import load_verifier

TURNS = [{"say": "one", "calls": [call("note", text="plain")]}, {"say": "done"}]


@dataclass
class Ended:
    """A run that completed."""

    runtime: Runtime
    run: str
    history: WorkflowHistory

    async def verdict(self) -> Verdict:
        found = self.runtime
        return await replay(
            self.run, found.settings, found.ledger, found.blobs, history=self.history, content=found.content
        )

    async def without(self, digest: str, *, becomes: bytes | None) -> Verdict:
        """The verdict while a blob is altered, or absent."""
        path = self.runtime.settings.state_folder / "blobs.db"
        with sqlite3.connect(path) as connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f'DROP TRIGGER "{name}"')
            before = connection.execute("SELECT data FROM blobs WHERE digest = ?", (digest,)).fetchall()
            own = connection.execute("SELECT run, data FROM run_blobs WHERE digest = ?", (digest,)).fetchall()
            assert before or own
            connection.execute("DELETE FROM blobs WHERE digest = ?", (digest,))
            connection.execute("DELETE FROM run_blobs WHERE digest = ?", (digest,))
            if becomes is not None:
                connection.execute("INSERT INTO blobs (digest, data) VALUES (?, ?)", (digest, becomes))
        try:
            return await self.verdict()
        finally:
            with sqlite3.connect(path) as connection:
                connection.execute("DELETE FROM blobs WHERE digest = ?", (digest,))
                for (data,) in before:
                    connection.execute("INSERT INTO blobs (digest, data) VALUES (?, ?)", (digest, data))
                for run, data in own:
                    row = (run, digest, data)
                    connection.execute("INSERT INTO run_blobs (run, digest, data) VALUES (?, ?, ?)", row)


@pytest.fixture(scope="module")
async def ended(temporal_address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ended]:
    root = small_project(tmp_path_factory.mktemp("pinned") / "project", TURNS)
    async with running(settings_for(root, temporal_address, name="pinned")) as runtime:
        run = await runtime.start("tester", "go")
        await runtime.client.wait(run)
        yield Ended(runtime, run, await fetch_history(runtime.temporal, run))


async def test_honest_run_verifies(ended: Ended) -> None:
    assert (await ended.verdict()).differences == []


@pytest.mark.parametrize("name", ["source", "prompt", "graph", "playbook"])
@pytest.mark.parametrize("becomes", [b"another text", None], ids=["altered", "absent"])
async def test_changed_agent_is_named(ended: Ended, name: str, becomes: bytes | None) -> None:
    digest = getattr(ended.runtime.manifest.agents["tester"], name)
    first = (await ended.without(digest, becomes=becomes)).first
    assert first is not None
    assert (first.seq, first.kind, first.field) == (0, "run.started", f"manifest.agents.tester.{name}")
    assert ("altered" if becomes else "absent") in first.message


async def test_changed_source_of_unused_tool_is_named(ended: Ended) -> None:
    digest = ended.runtime.manifest.tools["charge"].source
    first = (await ended.without(digest, becomes=b"another text")).first
    assert first is not None
    assert (first.seq, first.field) == (0, "manifest.tools.charge.source")


async def test_changed_request_of_receipt_is_named(ended: Ended) -> None:
    finished = next(e for e in ended.runtime.ledger.events(ended.run) if isinstance(e, CallFinished))
    executor = load_verifier(ended.runtime.settings.keys_folder, "executor")
    receipt = Receipt.found(executor, ended.runtime.blobs, finished.receipt)
    first = (await ended.without(receipt.request, becomes=b"{}")).first
    assert first is not None
    assert (first.seq, first.kind, first.field) == (finished.seq, "call.finished", "receipt.request")
