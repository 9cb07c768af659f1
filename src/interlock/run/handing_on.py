"""The executor's side of a hand-off: it lets a run of another agent begin, holds it to whoever handed the work on,
and takes its end from the ledger.

A hand-off is reserved like any call and noted before its run can start. Its end is asked for as often as somebody
likes: until the other run has ended the answer is the same statement again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from interlock.audit import CallRow, HandOffRow
from interlock.digest import canonical, parse
from interlock.errors import Conflict, EventForged, Refused, Unreachable
from interlock.policy import decide
from interlock.run.contracts import ExecuteOutput, HandedOn
from interlock.run.delegating import delegation
from interlock.run.delegation import DelegationClaims, root_of
from interlock.run.files import carry
from interlock.run.handed_back import HandedBack, handed_back, lost
from interlock.run.obligations import redacted
from interlock.run.paused import Paused
from interlock.run.receipt import Receipt
from interlock.run.rendering import shortened
from interlock.run.threads import to_its_end
from interlock.types.access import AccessRequest, Decision
from interlock.types.call import Artifact, ToolCall

if TYPE_CHECKING:
    from interlock.run.executor import Executor
    from interlock.run.proof import RunProof


@dataclass(frozen=True)
class HandingOn:
    """Hand-offs of the runs that an executor serves."""

    executor: Executor

    async def begin(
        self,
        call: ToolCall,
        digest: str,
        decision: Decision,
        nonces: list[str],
        arguments: dict[str, Any],
        proof: RunProof,
    ) -> ExecuteOutput:
        """Let another run do the work of an admitted call.

        Nothing of it acts before the call is reserved and the hand-off is noted.
        """
        try:
            claims = delegation(self.executor, call, digest, arguments, proof)
        except Refused as error:
            return ExecuteOutput(outcome="refused", decision=decision, detail=str(error))
        reserved = await asyncio.to_thread(self.executor.reserve, call, digest, decision, nonces)
        if reserved.state == "finished":
            return ExecuteOutput.model_validate(parse(reserved.result))
        row = HandOffRow(call.call_id, call.run, claims.run, claims.agent, claims.signed(self.executor.signer))
        try:
            root = root_of(call.run, proof.delegators)
            row = await asyncio.to_thread(self.executor.ledger.hand_on, row, root)
        except Refused as error:
            return ExecuteOutput(outcome="refused", decision=decision, detail=str(error))
        return self._waits(row, begun=False)

    async def known(self, call: ToolCall, digest: str, *, give_up: bool) -> ExecuteOutput | None:
        """What became of a hand-off; None where the call has handed nothing on yet.

        Args:
            call: the call.
            digest: its digest.
            give_up: whether to end it although the other run has not: from then on that run does nothing more.
        """
        row = await asyncio.to_thread(self.executor.ledger.handed_on, call.call_id)
        if row is None and give_up:
            raise Refused(f"call {call.call_id!r} has handed nothing on that could be given up")
        if row is None:
            return None
        async with self.executor.locks.setdefault(f"hand-off {call.call_id}", asyncio.Lock()):
            stored = await asyncio.to_thread(self.executor.ledger.finished, call.call_id, digest)
            if stored is not None:
                return ExecuteOutput.model_validate(parse(stored))
            child = await self.executor.proof_of(row.child)
            foreign = child.start is not None and child.start.requester_token != row.delegation
            if child.end is not None and not foreign:
                back = handed_back(child, row.agent, self.executor.blobs.of(row.child))
            elif give_up or foreign:
                back = lost(child, row, foreign=foreign)
            else:
                return self._waits(row, begun=child.start is not None)
            done = await to_its_end(self._complete, call, digest, row, back)
        if back.child.status == "lost":
            await self._stop(row.child)
        return done

    async def stand(self, proof: RunProof) -> None:
        """See that a run still acts for whoever handed its work on, and they for whoever handed it to them.

        Raises:
            Refused: one of them has ended, was cancelled, or waits for this run no more.
            Paused: one of them is paused.
            EventForged: no call of this ledger handed the work on.
        """
        while (claims := proof.delegation) is not None:
            assert proof.start is not None, "who acts for somebody has started"
            row = await asyncio.to_thread(self.executor.ledger.handed_on, claims.call)
            if row is None or row.delegation != proof.start.requester_token:
                raise EventForged(f"run {proof.run!r}: call {claims.call!r} handed it no work on record here")
            parent = await self.executor.proof_of(claims.parent)
            why = f"its work was handed on by run {claims.parent!r}, which"
            if parent.ended or parent.controls.cancelled:
                raise Refused(f"run {proof.run!r}: {why} {'has ended' if parent.ended else 'was cancelled'}")
            if await asyncio.to_thread(self.executor.ledger.finished, claims.call, claims.call_digest) is not None:
                raise Refused(f"run {proof.run!r}: {why} waits for it no more")
            if parent.controls.paused:
                next_step = f"interlock run resume {claims.parent}"
                raise Paused(f"run {proof.run!r}: {why} is paused", next_step=next_step)
            proof = parent

    def _waits(self, row: HandOffRow, *, begun: bool) -> ExecuteOutput:
        claims = DelegationClaims.peek(row.delegation)
        value = None if begun else parse(self.executor.blobs.of(row.child).get(claims.input))
        handed_on = HandedOn(run=row.child, delegation=row.delegation, input=value)
        return ExecuteOutput(outcome="handed_on", handed_on=handed_on)

    def _complete(self, call: ToolCall, digest: str, row: HandOffRow, back: HandedBack) -> ExecuteOutput:
        executor, blobs = self.executor, self.executor.blobs.of(call.run)
        record = next(one for one in executor.ledger.calls(call.run) if one.call_id == call.call_id)
        attempt = record.attempt if record.executor == executor.name else self._retaken(record)
        before, after, note = self._files(call, row, back)
        text = redacted(f"{back.text}{note}", self._decided(record, call).obligations.redact)
        shown, whole = shortened(text, call.call_id.rpartition(":")[2])
        receipt = Receipt(
            run=call.run,
            call_id=call.call_id,
            call=digest,
            rule=record.rule,
            bundle=record.bundle,
            request=record.request,
            approvals=record.approvals,
            status=back.status,
            output=blobs.put(shown.encode()),
            workspace_before=call.workspace,
            workspace=after,
            artifacts=(_artifact(whole, blobs.put(text.encode()), text),) if whole else (),
            child=back.child,
            profile="",
            image="",
            executor=executor.name,
            attempt=attempt,
            started_at=record.reserved_at,
            ended_at=datetime.now(UTC),
        )
        output = ExecuteOutput(
            outcome="finished",
            status=receipt.status,
            output=receipt.output,
            workspace=after,
            artifacts=receipt.artifacts,
            child=back.child,
            receipt=receipt.kept(executor.signer, executor.blobs),
        )
        stored = canonical(output.model_dump(mode="json"))
        try:
            executor.ledger.complete(call.call_id, attempt, stored, output.receipt, before, after)
        except Conflict as error:  # others changed the run's files, or ended it, in this moment: look again
            raise Unreachable(str(error)) from error
        return output

    def _files(self, call: ToolCall, row: HandOffRow, back: HandedBack) -> tuple[str, str, str]:
        """The run's files before and after, and a note for the model where the other run's are not taken."""
        now = self.executor.ledger.workspace(call.run)
        if back.workspace in (None, call.workspace):
            return now, now, ""
        if back.status != "ok":
            return now, now, "\n\n[note] The files that it changed were not taken over, since it did not complete."
        if now != call.workspace:
            return now, now, "\n\n[note] The files that it changed were not taken over: others changed meanwhile."
        carry(str(back.workspace), self.executor.blobs.of(row.child), self.executor.blobs.of(call.run))
        return now, str(back.workspace), ""

    def _decided(self, record: CallRow, call: ToolCall) -> Decision:
        """The decision by which the call was reserved, made again."""
        raw = parse(self.executor.blobs.of(call.run).get(record.request))
        return decide(self.executor.recorded.bundle(record.bundle), AccessRequest.model_validate(raw))

    def _retaken(self, record: CallRow) -> int:
        """The attempt under which this executor ends what another began, which can end it no more."""
        try:
            return self.executor.ledger.retake(record.call_id, self.executor.name, record.attempt)
        except Conflict as error:
            raise Unreachable(f"call {record.call_id!r} was taken over or ended meanwhile") from error

    async def _stop(self, child: str) -> None:
        """Kill what calls of a run are at work; no other call of it begins."""
        for row in await asyncio.to_thread(self.executor.ledger.calls, child):
            if row.finished_at is None:
                await self.executor.driver.kill(row.call_id)


def _artifact(name: str, digest: str, text: str) -> Artifact:
    return Artifact(name=name, digest=digest, size=len(text.encode()), media_type="text/plain")
