"""Runs tools without a sandbox, for tests and benchmarks of everything else."""

from __future__ import annotations

import asyncio
import io
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from interlock.digest import canonical, parse
from interlock.errors import InvalidInput, Refused
from interlock.sandbox import request
from interlock.sandbox.call import UNOBSERVED, Observer, SandboxCall, SandboxResult
from interlock.sandbox.guest import files, key, kinds
from interlock.sandbox.guest.invoke import ToolError, invoke, resolve
from interlock.sandbox.guest.reconciling import reconcile
from interlock.sandbox.options import MIB
from interlock.sandbox.printed import shorten
from interlock.settings import Settings
from interlock.types import Artifact, Blobs, FileEntry, Profile, Tree

PERMITTED: Final = ("tests", "benchmarks")


def require_permission(settings: Settings) -> None:
    """Refuse to run a tool's code in this process unless a test or a benchmark asked for it.

    Raises:
        Refused
    """
    if settings.sandbox_driver != "in_process" or settings.unsafe_in_process not in PERMITTED:
        raise Refused(
            "the in-process driver isolates nothing and is refused outside tests and benchmarks",
            next_step="set INTERLOCK_SANDBOX_DRIVER=docker",
        )


class InProcessDriver:
    """ISOLATES NOTHING. Calls the tool's function in this process, in a temporary folder, one call at a time.

    A tool can read and do all that this process can. No limit of the profile but the cap on output holds, and
    a call cannot be killed.
    """

    def __init__(self, settings: Settings) -> None:
        require_permission(settings)
        # The folder and the streams belong to the whole process, so calls take turns.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="in-process")

    async def run(self, call: SandboxCall, blobs: Blobs, observer: Observer = UNOBSERVED) -> SandboxResult:
        """See `Driver.run`. The observer sees nothing."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, _run, call, blobs)

    async def resume(
        self, call: SandboxCall, blobs: Blobs, observer: Observer = UNOBSERVED
    ) -> SandboxResult | None:
        """None: a call ends with its process."""
        return None

    async def release(self, run: str) -> None:
        """Does nothing: nothing is leased."""

    async def kill(self, call_id: str) -> None:
        """Does nothing: a thread cannot be killed."""

    async def close(self) -> None:
        """See `Driver.close`."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def contained(self, profile: Profile) -> bool:
        """False: everything can leave."""
        return False


_resolve = lru_cache(maxsize=256)(resolve)


def _run(call: SandboxCall, blobs: Blobs) -> SandboxResult:
    request.check(call)
    if call.way_out is not None:
        raise InvalidInput("the in-process driver has no egress proxy, so nothing may leave under it")
    started_at = datetime.now(UTC)
    stdout, stderr = _Captured(), _Captured()
    with _folder() as folder:
        workspace = files.Workspace(str(folder / "workspace"))
        if call.workspace_use != "none":
            for path, entry in call.workspace.files.items():
                workspace.put(path, blobs.get(entry.digest), entry.executable)
        with redirect_stdout(stdout), redirect_stderr(stderr), _variable(key.VARIABLE, call.idempotency_key):
            fields = _outcome(call)
        if fields["status"] == "ok" and call.workspace_use == "write" and not call.asks:
            fields |= _changed(call, workspace, blobs)
        artifacts = [
            Artifact(name=item.path, digest=blobs.put(item.content), size=len(item.content))
            for item in files.artifacts(str(folder / "artifacts"))
        ]
    keep = call.profile.output_kib * 1024
    return SandboxResult(
        **{"workspace": call.workspace, **fields},
        call_id=call.call_id,
        stdout=shorten(stdout.bytes, keep),
        stderr=shorten(stderr.bytes, keep),
        artifacts=tuple(artifacts),
        started_at=started_at,
        ended_at=datetime.now(UTC),
    )


def _outcome(call: SandboxCall) -> dict[str, Any]:
    try:
        returned = _returned(call)
        return {"status": "ok", "value": canonical(parse(returned), max_bytes=call.profile.output_kib * 1024)}
    except (ToolError, InvalidInput) as error:
        return {"status": "error", "error": str(error)}


def _returned(call: SandboxCall) -> bytes:
    if call.kind == "python":
        act = reconcile if call.asks else invoke
        return act(_resolve(call.source, call.path, call.tool), call.arguments, call.path, call.idempotency_key)
    room = kinds.Room(call.profile.output_kib * 1024, call.profile.time_s, call.idempotency_key)
    return kinds.carry_out(call.kind, call.source, call.arguments, room, asks=call.asks)


def _changed(call: SandboxCall, workspace: files.Workspace, blobs: Blobs) -> dict[str, Any]:
    after = dict(call.workspace.files)
    limits = {"max_files": call.profile.workspace_files, "max_bytes": call.profile.workspace_mib * MIB}
    try:
        for item in workspace.changes(**limits):
            digest = blobs.put(item.content)
            after[item.path] = FileEntry(digest=digest, size=len(item.content), executable=item.executable)
    except files.Overfull as error:
        return {"status": "error", "error": str(error), "limit": "workspace", "value": None}
    for path in workspace.gone:
        after.pop(path, None)
    return {"workspace": Tree(files=after), "notes": tuple(workspace.notes)}


class _Captured(io.TextIOWrapper):
    """A text stream whose bytes can be had."""

    def __init__(self) -> None:
        self._kept = io.BytesIO()
        super().__init__(self._kept, encoding="utf-8", errors="replace", write_through=True)

    @property
    def bytes(self) -> bytes:
        return self._kept.getvalue()


@contextmanager
def _folder() -> Iterator[Path]:
    """A temporary folder that is this process's working folder for a while."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="interlock-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "workspace").mkdir()
        (folder / "artifacts").mkdir()
        os.chdir(folder / "workspace")
        try:
            with _variable("INTERLOCK_ARTIFACTS", str(folder / "artifacts")):
                yield folder
        finally:
            os.chdir(before)


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """An environment variable that has this value for a while; empty: it is not there."""
    before = os.environ.pop(name, None)
    if value:
        os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before
