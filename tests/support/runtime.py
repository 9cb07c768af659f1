"""A whole runtime in one process: real Temporal, real ledger, real policy; tools run in process unless told.

Two workers on two queues, as in production; what a test replaces, it replaces by a real part that misbehaves.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHistory

from interlock.audit import ApprovalRow, Ledger, SqlBlobs, make_data_keys
from interlock.definitions import Manifest
from interlock.project import mount
from interlock.run.client import RunClient
from interlock.run.compilation import compiled
from interlock.run.connection import connect
from interlock.run.executor import Executor
from interlock.run.executor_worker import executor_worker, make_executor
from interlock.run.graph_worker import Content, graph_worker
from interlock.run.histories import fetch_history
from interlock.run.replay import Verdict, replay
from interlock.settings import Settings
from interlock.signing import create_keys, load_signer

ROOT = Path(__file__).resolve().parents[2]
CONTENT = ("agents", "tools", "permissions", "workflows")


def copy_project(into: Path) -> Path:
    """The reference project's four folders, to be edited at will."""
    for folder in CONTENT:
        shutil.copytree(ROOT / folder, into / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (into / "pyproject.toml").write_text('[tool.interlock]\nname = "test"\n')
    return into


@dataclass
class Runtime:
    """What tests reach of a running runtime."""

    settings: Settings
    temporal: Client
    client: RunClient
    blobs: SqlBlobs
    ledger: Ledger
    executor: Executor
    manifest: Manifest
    content: Content

    async def start(self, name: str, value: Any, **options: Any) -> str:
        options.setdefault("requester", "user:alice")
        return await self.client.start(self.manifest, name, value, **options)

    async def approval(self, run: str, *, timeout_s: float = 30) -> ApprovalRow:
        """The next pending request of a run."""
        return await eventually(lambda: next(iter(self.ledger.approvals(run=run)), None), timeout_s)

    def kinds(self, run: str) -> list[str]:
        return [event.kind for event in self.ledger.events(run)]

    async def verdict(self, run: str, history: WorkflowHistory | None = None) -> Verdict:
        """What `interlock replay` says of a run: by this history, or by all that the server has."""
        history = history or await fetch_history(self.temporal, run)
        return await replay(run, self.settings, self.ledger, self.blobs, history=history, content=self.content)

    def text(self, digest: str) -> str:
        return self.stored(digest).decode()

    def stored(self, digest: str) -> bytes:
        """Of whichever run has it."""
        runs = [row.run for row in self.ledger.runs(limit=1000)]
        held = next((run for run in runs if self.blobs.of(run).has(digest)), "none")
        return self.blobs.of(held).get(digest)


async def eventually(probe: Callable[[], Any], timeout_s: float = 30) -> Any:
    """Wait for a probe to give something true."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if found := probe():
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen in time")


def settings_for(root: Path, temporal: str, *, name: str, **options: Any) -> Settings:
    options.setdefault("sandbox_driver", "in_process")
    return Settings(
        root=root,
        state=root / ".interlock",
        name=name,
        temporal_address=temporal,
        unsafe_in_process="tests" if options["sandbox_driver"] == "in_process" else "",
        **options,
    )


@asynccontextmanager
async def running(settings: Settings, *, workers: bool = True) -> AsyncIterator[Runtime]:
    """Keys, stores, manifest, and both workers until the block ends."""
    create_keys(settings.keys_folder)
    make_data_keys(settings)
    client = await connect(settings)
    mount(settings.root, replace=True)
    executor = make_executor(settings)
    content = Content.load(settings.root)
    manifest = compiled(settings, executor.blobs)
    runtime = Runtime(
        settings=settings,
        temporal=client,
        client=RunClient(client, settings, executor.blobs, load_signer(settings.keys_folder, "api")),
        blobs=executor.blobs,
        ledger=executor.ledger,
        executor=executor,
        manifest=manifest,
        content=content,
    )
    if not workers:
        yield runtime
        return
    async with executor_worker(client, settings, executor), graph_worker(client, settings, content):
        yield runtime
    await executor.driver.close()
