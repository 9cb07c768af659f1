"""Erasing runs, on the executor: it checks who asks, puts that on record, and then erases key and content.

In this order, because content that is gone without a word on record is what a thief leaves. What a crash leaves
between the two is finished when the activity is tried again, and by every executor from time to time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from temporalio import activity

from interlock.approval import ErasureClaims
from interlock.audit import RunRow, SqlBlobs
from interlock.errors import Conflict, EventForged, InterlockError, Refused, TokenRejected
from interlock.events import RunErased, sealed
from interlock.run.deciding import failure
from interlock.run.erase_workflow import ERASE, EraseInput, EraseOutput, workflow_of
from interlock.run.erasure import told
from interlock.run.executor import Executor

LOOK_EVERY_S: Final = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Erasing:
    """Erases runs with what an executor has: the ledger, the blobs, the ledger's key."""

    executor: Executor

    def activities(self) -> list[Callable[..., Any]]:
        """What the worker registers."""
        return [self.erase_run]

    @activity.defn(name=ERASE)
    async def erase_run(self, request: EraseInput) -> EraseOutput:
        """Erase a run whose end is on record, once somebody who may has asked."""
        try:
            workflow = activity.info().workflow_id
            if workflow != workflow_of(request.run):
                raise EventForged(f"workflow {workflow!r} would erase run {request.run!r}")
            done = await asyncio.to_thread(self._erased, request)
            self.executor.proofs.pop(request.run, None)
            return done
        except InterlockError as error:
            if isinstance(error, (EventForged, TokenRejected)):
                alarm = self.executor.ledger.alarm
                await asyncio.to_thread(alarm, request.run, "erasure.forged", str(error))
            raise failure(error) from None

    def _erased(self, request: EraseInput) -> EraseOutput:
        ledger, run = self.executor.ledger, request.run
        claims = ErasureClaims.read(self.executor.recorded.api, request.token, now=None)
        if claims.run != run:
            raise TokenRejected(f"a statement about run {claims.run!r} was given for run {run!r}")
        event = ledger.erasure(run)
        if event is None:
            event = self._event(claims, request.token, self._admitted(claims))
            ledger.append(run, [event])
        ledger.checkpoint(run, self.executor.sealer)
        blobs_of(self.executor).erase(run)
        if event.token != request.token:
            raise Conflict(f"run {run!r} was {told(event)}")
        return EraseOutput(run=run, by=event.by, at=event.time, reason=event.reason, events=event.seq + 1)

    def _admitted(self, claims: ErasureClaims) -> RunRow:
        """The run, if this person may have it erased now.

        Raises:
            TokenRejected: the statement has expired. Refused: nobody whom the policy knows.
            Conflict: the run has not ended. InvalidInput: there is no such run.
        """
        row, people = self.executor.ledger.run(claims.run), self.executor.policy.current().people
        if datetime.now(UTC).timestamp() >= claims.exp:
            raise TokenRejected(f"the statement of {claims.sub} about run {claims.run!r} has expired")
        if not (claims.sub.startswith("user:") and people.is_known(claims.sub, row.tenant)):
            raise Refused(f"{claims.sub} may not erase runs: the policy knows no such person in {row.tenant!r}")
        if claims.tenant != row.tenant:
            raise Refused(f"run {claims.run!r} is of tenant {row.tenant!r}, the statement of {claims.tenant!r}")
        if not row.ended:
            raise Conflict(
                f"run {claims.run!r} has not ended ({row.status})", next_step=f"interlock run cancel {claims.run}"
            )
        return row

    def _event(self, claims: ErasureClaims, token: str, row: RunRow) -> RunErased:
        """The same at each try: its time is when the person asked, and not before the run's end."""
        key = blobs_of(self.executor).keys.id_of(claims.run)
        asked = datetime.fromtimestamp(claims.iat, UTC)
        event = RunErased(
            run=claims.run,
            seq=row.count,
            prev=row.head,
            time=max(asked, row.updated_at),
            by=claims.sub,
            token=token,
            reason=claims.reason,
            key=key.hex() if key else "",
        )
        done = sealed(event)
        assert isinstance(done, RunErased)
        return done


def blobs_of(executor: Executor) -> SqlBlobs:
    """The executor's blob store, where keys are. Raises Refused where it keeps none."""
    if not isinstance(executor.blobs, SqlBlobs):
        raise Refused("this executor's blobs have no keys to erase")
    return executor.blobs


async def keep_erased(executor: Executor) -> None:
    """Until cancelled: what the ledger says is erased, is. Whoever restores a backup of the blob store alone brings
    keys and content back, and a crash may have come between record and erasure."""
    while True:
        try:
            for run in await asyncio.to_thread(erase_again, executor):
                _log.warning("run %s is erased on record, and was not in the blob store: erased again", run)
        except InterlockError as error:
            _log.warning("erased runs are not looked after: %s", error)
        await asyncio.sleep(LOOK_EVERY_S)


def erase_again(executor: Executor) -> list[str]:
    """Erase every run that is erased on record and has a key or content; returns them.

    Raises:
        LedgerUnavailable: a store cannot be used.
    """
    blobs = blobs_of(executor)
    found = blobs.not_erased(executor.ledger.erased_runs())
    for run in found:
        blobs.erase(run)
    return found
