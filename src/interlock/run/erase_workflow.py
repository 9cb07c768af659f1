"""The engine's own workflow that erases a run: executors run it, and no code of a team is near.

A run has ended by then, so that it cannot take the statement itself.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pydantic import AwareDatetime
from temporalio import workflow

from interlock.run.steps import PATIENT
from interlock.types.closed import Closed
from interlock.types.names import RunId

ERASE_WORKFLOW: Final = "interlock.erase"
ERASE: Final = "interlock.erase_run"


class EraseInput(Closed):
    """A person's statement about a run."""

    run: RunId
    token: str


class EraseOutput(Closed):
    """What is on record now."""

    run: RunId
    by: str
    at: AwareDatetime
    reason: str
    events: int
    """How many events the run has, that of the erasure included."""


def workflow_of(run: str) -> str:
    """Id of the workflow that erases `run`: there is one at a time."""
    return f"erase-{run}"


@workflow.defn(name=ERASE_WORKFLOW, sandboxed=False)
class EraseRun:
    """Has an executor erase one run; goes on after whatever stopped it."""

    @workflow.run
    async def run(self, request: EraseInput) -> EraseOutput:
        """The whole workflow."""
        done: EraseOutput = await workflow.execute_activity(
            ERASE,
            request,
            result_type=EraseOutput,
            start_to_close_timeout=timedelta(seconds=60),
            retry_policy=PATIENT,
        )
        return done
