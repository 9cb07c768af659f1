"""A call whose earlier attempt left no result: taken over, run again, asked about, or put to a person.

In this order: what its container still gives; a second run, where people said so or where it can do no harm; what
the tool's `reconcile` finds out; else the outcome is unknown. An attempt counts from the moment that the ledger has
it: no earlier one can then complete the call, or let a request of it out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from interlock.audit import CallRow, ReserveOutcome
from interlock.digest import parse
from interlock.errors import Conflict, Refused, TokenRejected, Unreachable
from interlock.run.contracts import ExecuteOutput
from interlock.run.execution import Execution
from interlock.run.idempotency import idempotency_key
from interlock.run.reconciling import question_id, reconcile
from interlock.types.access import Decision
from interlock.types.call import ToolCall
from interlock.types.egress import EgressRecord

if TYPE_CHECKING:
    from interlock.run.executor import Executor


@dataclass
class InDoubt:
    """One such call."""

    execution: Execution
    reserved: ReserveOutcome
    """The attempt of which nothing is known."""
    settled: Callable[[], list[str]]
    """The nonces of the decisions that let it run again. Raises Refused, Conflict."""

    @property
    def _executor(self) -> Executor:
        return self.execution.executor

    @property
    def _call_id(self) -> str:
        return self.execution.call.call_id

    async def resolved(self) -> ExecuteOutput:
        """The call's end, by whichever way; or that its outcome is unknown.

        Raises:
            TokenRejected: nobody signed a decision on it.
            Unreachable: another executor was quicker; or there is no sandbox.
        """
        question = question_id(self._call_id, self.reserved.attempt)
        another = self.reserved.executor != self._executor.name
        if another and (found := await self._resumed()) is not None:
            return found
        # Whatever is decided now, an earlier attempt that still runs must not act after it.
        for ident in (self._call_id, question):
            await self._executor.driver.kill(ident)
        try:
            settled = self.settled()
        except TokenRejected:
            raise
        except (Refused, Conflict) as error:
            return self._unknown(str(error))
        # An attempt that they let begin has used them up: what became of it is a question of its own.
        if set(settled) & set((await asyncio.to_thread(self._row)).approvals):
            settled = []
        if settled or self._never_began() or self._safe_to_repeat():
            return await self._run_again(settled)
        if self.execution.entry.schema_.reconcile:
            return await self._asked()
        return await self._put_to_people()

    async def _resumed(self) -> ExecuteOutput | None:
        """What the container of an earlier attempt still gives."""
        try:
            return await self.execution.resume(self._retake)
        except Conflict as error:
            # Whoever takes it over now stores what it gave, or dies; either is found by the next attempt.
            raise Unreachable(f"call {self._call_id!r} is being taken over: {error.reason}") from error

    async def _asked(self) -> ExecuteOutput:
        """The tool finds out."""
        # Of several that would ask, one does; and what it hears holds, since no earlier attempt acts any more.
        self.execution.attempt = await asyncio.to_thread(self._retake)
        asked = await reconcile(self.execution)
        if asked.answer == "done":
            return await self.execution.recorded(asked.result)
        self.execution.asked_for(asked.result.egress)
        if asked.answer == "not_done":
            self.execution.notes = (
                "an earlier attempt left no result; the tool's reconcile said that it was not done",
            )
            return await self._run_again([])
        return await self._put_to_people(f"its reconcile could not tell: {asked.reason or 'it gives no reason'}")

    async def _run_again(self, settled: list[str]) -> ExecuteOutput:
        self.execution.attempt = await asyncio.to_thread(self._retake, settled)
        return await self.execution.run()

    async def _put_to_people(self, also: str = "") -> ExecuteOutput:
        since = self.reserved
        requests = await asyncio.to_thread(self._executor.ledger.left, self._call_id)
        said = [f"executor {since.executor!r} began it at {since.at.isoformat()} and left no result"]
        said += [_told(requests), also, f"its idempotency key is {idempotency_key(self.execution.call)}"]
        return self._unknown("; ".join(filter(None, said)))

    def _unknown(self, detail: str) -> ExecuteOutput:
        return ExecuteOutput(outcome="unknown", decision=self.execution.decision, detail=detail)

    def _never_began(self) -> bool:
        own = self.reserved.executor == self._executor.name
        return own and (self._call_id, self.reserved.attempt) in self._executor.not_started

    def _safe_to_repeat(self) -> bool:
        """Whether a second run cannot double an effect: the tool says so, or nothing can leave its sandbox."""
        schema = self.execution.entry.schema_
        if schema.idempotent:
            return True
        closed = self.execution.way_out is None and self._executor.driver.contained(self.execution.profile)
        return schema.effects == "contained" and closed

    def _retake(self, settled: list[str] | None = None) -> int:
        try:
            attempt = self._executor.ledger.retake(
                self._call_id, self._executor.name, self.reserved.attempt, settled or []
            )
        except Conflict as error:
            now = self._row()
            if now.finished_at is None and now.attempt == self.reserved.attempt:
                raise
            # An attempt that was taken for dead came to its end in this moment: the next one finds its result.
            raise Unreachable(f"call {self._call_id!r} was taken over or ended meanwhile") from error
        # What this attempt took over is no longer the dead one's: a further step is taken from here.
        self.reserved = replace(self.reserved, attempt=attempt)
        return attempt

    def _row(self) -> CallRow:
        rows = self._executor.ledger.calls(self._call_id.rpartition(":")[0])
        return next(row for row in rows if row.call_id == self._call_id)


async def refused(
    executor: Executor, call: ToolCall, digest: str, decision: Decision, reason: str
) -> ExecuteOutput:
    """That a call may not run. Of one that was begun before, while it might: how it ended, or that nobody knows.

    To an agent "refused" means that nothing happened, so it must not be said of what may have.
    """
    rows = await asyncio.to_thread(executor.ledger.calls, call.run)
    begun = next((row for row in rows if (row.call_id, row.call_digest) == (call.call_id, digest)), None)
    if begun is None:
        return ExecuteOutput(outcome="refused", decision=decision, detail=reason)
    if begun.result is not None:
        return ExecuteOutput.model_validate(parse(begun.result))
    for ident in (call.call_id, question_id(call.call_id, begun.attempt)):
        await executor.driver.kill(ident)
    since = f"executor {begun.executor!r} began it at {begun.attempted_at.isoformat()} and left no result"
    detail = f"{since}; its idempotency key is {idempotency_key(call)}; it may not run again: {reason}"
    return ExecuteOutput(outcome="unknown", decision=decision, detail=detail)


def _told(requests: list[EgressRecord]) -> str:
    """What its attempts asked for outside, for the person who settles it."""
    if not requests:
        return ""
    told = [f"{one.asked} ({one.verdict})" for one in requests[:8]]
    more = f" and {len(requests) - 8} more" if len(requests) > 8 else ""
    return f"it asked for {', '.join(told)}{more}"
