"""The activities that workflow code calls: their names, queues, timeouts and retries in one place."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pydantic import JsonValue
from temporalio import workflow
from temporalio.common import RetryPolicy

from interlock.run.chain import Chain
from interlock.run.contracts import (
    CommitInput,
    DecideInput,
    DecideOutput,
    ExecuteInput,
    ExecuteOutput,
    OpenRun,
    RunFacts,
    UseGrantInput,
    UseGrantOutput,
)
from interlock.run.locally import beside
from interlock.run.told import Told

DECIDE: Final = "interlock.decide"
OPEN_RUN: Final = "interlock.open_run"
KEEP: Final = "interlock.keep"
EXECUTE: Final = "interlock.execute_call"
COMMIT: Final = "interlock.commit_events"
USE_GRANT: Final = "interlock.use_grant"

# Whatever is refused is refused for good; only an unreachable part is worth another try.
PATIENT = RetryPolicy(
    initial_interval=timedelta(milliseconds=500), backoff_coefficient=2, maximum_interval=timedelta(seconds=10)
)
HEARTBEAT: Final = timedelta(seconds=6)
LONGEST_CALL: Final = timedelta(hours=2)


def executor_queue() -> str:
    """The executors' queue beside the queue that this workflow runs on (`NAME-graph` → `NAME-executor`)."""
    return workflow.info().task_queue.removesuffix("-graph") + "-executor"


async def open_run(request: OpenRun) -> RunFacts:
    """Load what the workflow must know of its manifest."""
    return await beside(OPEN_RUN, request, RunFacts, PATIENT)


async def keep(value: JsonValue) -> str:
    """Store a value's canonical bytes, so that an event may name it by digest; returns the digest."""
    return await beside(KEEP, value, str, PATIENT)


async def decide(request: DecideInput) -> DecideOutput:
    """Normalise a call and let the policy decide it."""
    told = await beside(DECIDE, request, Told, PATIENT)
    return told.whole(request)


async def execute(request: ExecuteInput) -> ExecuteOutput:
    """Let the executor commit the pending events, judge the call for itself, and run it."""
    done: ExecuteOutput = await workflow.execute_activity(
        EXECUTE,
        request,
        result_type=ExecuteOutput,
        task_queue=executor_queue(),
        start_to_close_timeout=LONGEST_CALL,
        heartbeat_timeout=HEARTBEAT,
        retry_policy=PATIENT,
        # A cancelled call is recorded with the receipt of what was stopped, so its end is awaited.
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )
    return done


async def use_grant(request: UseGrantInput) -> UseGrantOutput:
    """Let the executor commit the pending events, and find a standing grant that lets the call run."""
    done: UseGrantOutput = await workflow.execute_activity(
        USE_GRANT,
        request,
        result_type=UseGrantOutput,
        task_queue=executor_queue(),
        start_to_close_timeout=timedelta(seconds=60),
        retry_policy=PATIENT,
    )
    return done


async def commit(chain: Chain, *, final: bool = False) -> None:
    """Commit the pending events without an effect."""
    events = chain.unsent()
    await workflow.execute_activity(
        COMMIT,
        CommitInput(events=events, final=final),
        result_type=int,
        task_queue=executor_queue(),
        start_to_close_timeout=timedelta(seconds=60),
        retry_policy=PATIENT,
        cancellation_type=workflow.ActivityCancellationType.ABANDON,
    )
    chain.committed(events.last)
