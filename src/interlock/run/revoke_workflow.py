"""The engine's own workflow that ends a standing grant: executors run it. The run that the grant was given in may
have ended, so that it cannot take the statement.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from temporalio import workflow

from interlock.run.steps import PATIENT
from interlock.types.closed import Closed

REVOKE_WORKFLOW: Final = "interlock.revoke"
REVOKE: Final = "interlock.revoke_grant"


class RevokeInput(Closed):
    """A person's statement about a grant."""

    grant: str
    token: str


class RevokeOutput(Closed):
    """What is on record now."""

    grant: str
    by: str
    at: str
    used: int
    """How often it was used before."""


def workflow_of(grant: str) -> str:
    """Id of the workflow that ends a grant: there is one at a time."""
    return f"revoke-{grant}"


@workflow.defn(name=REVOKE_WORKFLOW, sandboxed=False)
class RevokeGrant:
    """Has an executor end one grant; goes on after whatever stopped it."""

    @workflow.run
    async def run(self, request: RevokeInput) -> RevokeOutput:
        """The whole workflow."""
        done: RevokeOutput = await workflow.execute_activity(
            REVOKE,
            request,
            result_type=RevokeOutput,
            start_to_close_timeout=timedelta(seconds=60),
            retry_policy=PATIENT,
        )
        return done
