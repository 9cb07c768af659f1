"""The executor's worker: engine code only, and the only role with keys and the Docker socket.

Nothing of LangGraph is loaded here: what acts trusts as little code as it can, and is up the sooner.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from interlock import __version__
from interlock.audit import Ledger, open_blobs
from interlock.run.erase_workflow import EraseRun
from interlock.run.erasing import Erasing
from interlock.run.executor import BEAT_S, Executor
from interlock.run.granting import Granting
from interlock.run.proof import recorded_sources
from interlock.run.revoke_workflow import RevokeGrant
from interlock.run.shadow import Shadow
from interlock.run.watched_policy import policy_source
from interlock.sandbox import Driver, make_driver
from interlock.settings import Settings
from interlock.signing import load_signer


def make_executor(settings: Settings, driver: Driver | None = None) -> Executor:
    """The execution edge of this process, with the executor's and the ledger's key."""
    keys = settings.keys_folder
    blobs = open_blobs(settings)
    ledger = Ledger(settings.effective_ledger_url)
    return Executor(
        name=f"{socket.gethostname()}-{os.getpid()}",
        ledger=ledger,
        blobs=blobs,
        policy=policy_source(settings, blobs, ledger=ledger),
        driver=driver or make_driver(settings),
        signer=load_signer(keys, "executor"),
        sealer=load_signer(keys, "ledger"),
        recorded=recorded_sources(ledger, blobs, keys),
        shadow=Shadow(settings, ledger, blobs),
    )


def executor_worker(client: Client, settings: Settings, executor: Executor) -> Worker:
    """A worker that acts."""
    activities: Sequence[Any] = [
        *executor.activities(),
        *Erasing(executor).activities(),
        *Granting(executor).activities(),
    ]
    return Worker(
        client,
        task_queue=settings.executor_queue,
        build_id=__version__,
        workflows=[EraseRun, RevokeGrant],
        activities=activities,
        max_concurrent_activities=32,
        # Otherwise beats are held back until shortly before the timeout: a busy machine would then lose calls
        # that run, and a cancelled call would run on for seconds.
        max_heartbeat_throttle_interval=timedelta(seconds=BEAT_S),
    )
