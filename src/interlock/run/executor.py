"""The execution edge: the one place where a call runs. It believes nobody.

Whatever arrives through Temporal is a claim. The executor commits the run's events only if every claim in
them is borne out, derives the call's digest again, decides again with the policy in force, counts the
approval tokens itself, reserves the call once and for ever, runs it, and signs what happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from weakref import WeakValueDictionary

from cachetools import LRUCache
from pydantic import ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from interlock.approval import ApprovalClaims, check_quorum
from interlock.audit import CallRow, Ledger, Reservation, ReserveOutcome
from interlock.definitions import ToolEntry
from interlock.digest import canonical, digest_of, parse
from interlock.errors import (
    Conflict,
    EventForged,
    IntegrityError,
    InterlockError,
    InvalidInput,
    Refused,
    TokenRejected,
    Unreachable,
)
from interlock.events import EVENT, Event
from interlock.policy import Bundle, PolicySource, decide
from interlock.run.contracts import BUILT_IN_TOOLS, CommitInput, ExecuteInput, ExecuteOutput
from interlock.run.deciding import failure
from interlock.run.execution import Execution, Live
from interlock.run.obligations import profile_of
from interlock.run.proof import RunProof, Sources
from interlock.run.shadow import Shadow
from interlock.run.steps import COMMIT, EXECUTE
from interlock.run.threads import then_cancelled
from interlock.run.ways_out import way_out
from interlock.sandbox import Driver
from interlock.signing import Signer
from interlock.types.access import Decision, Route, canonical_request
from interlock.types.approval import RequestKind
from interlock.types.blobs import Blobs
from interlock.types.call import ToolCall
from interlock.types.egress import EgressRecord

BEAT_S: Final = 1.5
CLOCKS_MAY_DIFFER: Final = timedelta(minutes=5)


class Paused(Unreachable):
    """The run is paused; the call waits for its resumption."""


async def _beat(live: Live) -> None:
    """Tell Temporal that this attempt lives, and what its tool prints; its silence lets another executor take over.
    The start of an attempt counts as its first beat, so that a short call costs the server none."""
    while True:
        await asyncio.sleep(BEAT_S)
        activity.heartbeat(*live.details())


@dataclass
class Executor:
    """Commits events, and runs calls that hold up."""

    name: str
    """Names this process in reservations and receipts."""
    ledger: Ledger
    blobs: Blobs
    policy: PolicySource
    driver: Driver
    signer: Signer
    """The executor's key."""
    sealer: Signer
    """The ledger's key: signs checkpoints."""
    recorded: Sources
    """The public keys, and the bundles that were in force before."""
    shadow: Shadow | None = None
    """A candidate policy that decides beside the one in force, and changes nothing."""
    proofs: LRUCache[str, RunProof] = field(default_factory=lambda: LRUCache(maxsize=512))
    locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    """By run; gone when nobody holds or awaits one."""
    not_started: set[tuple[str, int]] = field(default_factory=set)
    """Attempts (call id, number) of this process whose tool never began, because no sandbox could be had."""

    def activities(self) -> list[Callable[..., Any]]:
        """What the worker registers."""
        return [self.execute_call, self.commit_events]

    @activity.defn(name=COMMIT)
    async def commit_events(self, request: CommitInput) -> int:
        """Verify and commit events; at a run's end, sign a checkpoint. Returns the last sequence held."""
        try:
            self._must_be_own_run(request.run)
            proof = await self._commit(request.run, request.events)
            if request.final and proof.ended:
                await asyncio.to_thread(self.ledger.checkpoint, request.run, self.sealer)
                await self.driver.release(request.run)
            return proof.count - 1
        except InterlockError as error:
            raise await self._alarmed(request.run, error) from None

    @activity.defn(name=EXECUTE)
    async def execute_call(self, request: ExecuteInput) -> ExecuteOutput:
        """Judge one call from first principles and run it if it holds up."""
        run, live = request.call.run, Live()
        beats = asyncio.create_task(_beat(live))
        try:
            self._must_be_own_run(run)
            proof = await self._commit(run, request.events)
            committed = proof.count - 1  # now: while the call runs, others add to this proof, or fail to
            output = await self._judge_and_run(request, proof, live)
            return output.model_copy(update={"committed": committed})
        except InterlockError as error:
            raise await self._alarmed(run, error) from None
        finally:
            beats.cancel()

    # -- what was said -------------------------------------------------------------------------------------

    async def _commit(self, run: str, raw: list[dict[str, Any]]) -> RunProof:
        """Verify the events that the ledger lacks, then append them. One run's events are taken in turn."""
        lock = self.locks.setdefault(run, asyncio.Lock())
        async with lock:
            try:
                events: list[Event] = [EVENT.validate_python(event) for event in raw]
            except ValidationError as error:
                raise EventForged(
                    f"not an event: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}"
                ) from error
            # Cancelled or not, no second thread works on this run's proof before this one is done.
            return await then_cancelled(self._append, run, events)

    def _append(self, run: str, events: list[Event]) -> RunProof:
        proof, now = self._proof(run), datetime.now(UTC)
        held = proof.count
        try:
            for event in events:
                if event.seq >= proof.count:
                    _check_date(event, now)
                    proof.feed(event)
            if events:
                self.ledger.append(run, events)
        except BaseException:
            self.proofs.pop(run, None)  # what it learned may be more than what the ledger holds
            raise
        if self.shadow is not None:
            self.shadow.observe(event for event in events if event.seq >= held)
        return proof

    def _proof(self, run: str) -> RunProof:
        """The run's verified facts up to the ledger's head, rebuilt where this process has not seen them."""
        head = self.ledger.head(run)
        proof = self.proofs.get(run)
        if proof is None or proof.count != head.count:
            proof = RunProof(run, replace(self.recorded, bundle=self._bundle))
            for event in self.ledger.events(run):
                proof.feed(event)
            self.proofs[run] = proof
        return proof

    def _bundle(self, digest: str) -> Bundle:
        current = self.policy.current()
        return current if current.digest == digest else self.recorded.bundle(digest)

    async def _alarmed(self, run: str, error: InterlockError) -> ApplicationError:
        if isinstance(error, (EventForged, TokenRejected, IntegrityError)):
            await asyncio.to_thread(self.ledger.alarm, run, "event.forged", str(error))
        return failure(error)

    def _must_be_own_run(self, run: str) -> None:
        """A run speaks only for itself: Temporal's server says which workflow scheduled this activity."""
        workflow = activity.info().workflow_id
        if workflow != run:
            raise EventForged(f"workflow {workflow!r} speaks for run {run!r}")

    # -- what may run --------------------------------------------------------------------------------------

    async def _judge_and_run(self, request: ExecuteInput, proof: RunProof, live: Live) -> ExecuteOutput:
        call, now = request.call, datetime.now(UTC)
        digest = digest_of(call.as_hashed())
        # A retry of what already ran takes the stored result: neither a later rule nor the files that the call
        # itself changed speak against what has happened.
        if activity.info().attempt > 1 and digest in proof.proposals:
            stored = await asyncio.to_thread(self.ledger.finished, call.call_id, digest)
            if stored is not None:
                return ExecuteOutput.model_validate(parse(stored))
        entry = self._admit(call, digest, proof, now)
        bundle = self.policy.current()
        access = proof.question(proof.proposals[digest], now, bundle)
        self.blobs.put(canonical(canonical_request(access)))
        decision = decide(bundle, access)
        if decision.verdict == "deny":
            return ExecuteOutput(outcome="refused", decision=decision, detail=decision.reason)
        profile = profile_of(bundle, entry.schema_, decision)
        try:
            leaves = way_out(bundle, decision, entry.schema_, profile)
        except Refused as error:
            return ExecuteOutput(outcome="refused", decision=decision, detail=str(error))
        if entry.schema_.workspace != "none" and call.workspace != self.ledger.workspace(call.run):
            detail = "another call changed the run's files since this one was proposed; look again, then propose"
            return ExecuteOutput(outcome="refused", decision=decision, detail=detail)
        for pinned in filter(None, (entry.source, call.workspace)):
            self.blobs.get(pinned)  # what is absent or altered is found before the call is reserved
        try:
            nonces = self._quorum(request.approvals, proof, digest, decision, now)
        except TokenRejected:
            raise  # no honest worker hands in what nobody signed
        except (Refused, Conflict) as error:
            if request.approvals:
                return ExecuteOutput(outcome="refused", decision=decision, detail=str(error))
            return ExecuteOutput(outcome="ask", decision=decision, detail=str(error))
        # Last, so that what nobody decided or approved on record has no way to run, and so need not be counted.
        if why := proof.so_far.may_run(digest):
            raise Refused(f"call {call.call_id!r} does not run: {why}")
        reserved = await asyncio.to_thread(self._reserve, call, digest, decision, nonces)
        if reserved.state == "finished":
            return ExecuteOutput.model_validate(parse(reserved.result))
        execution = Execution(
            executor=self,
            call=call,
            digest=digest,
            entry=entry,
            arguments=access.arguments,
            decision=decision,
            nonces=tuple(nonces),
            attempt=reserved.attempt,
            images=proof.reach().manifest.images,
            profile=profile,
            way_out=leaves,
            labels=tuple(sorted(access.seen)),
            live=live,
        )
        if reserved.state == "in_doubt":
            taken = await self._take_over(request, proof, execution, reserved, now)
            if isinstance(taken, ExecuteOutput):
                return taken
            execution.attempt = taken
        return await execution.run()

    async def _take_over(
        self,
        request: ExecuteInput,
        proof: RunProof,
        execution: Execution,
        reserved: ReserveOutcome,
        now: datetime,
    ) -> int | ExecuteOutput:
        """What the earlier attempt's container still gives; or the attempt under which to run a call in doubt; or
        that its outcome is unknown, which people settle."""
        call, decision = request.call, execution.decision
        if reserved.executor != self.name:
            retake = partial(self._retake, call.call_id, reserved, [])
            if (found := await execution.resume(retake)) is not None:
                return found
            reserved = replace(reserved, attempt=execution.attempt)
        # Whatever is decided now, an earlier attempt that still runs must not act after it.
        await self.driver.kill(call.call_id)
        try:
            settled = self._settlement(request.settled, proof, call, execution.digest, now)
        except TokenRejected:
            raise
        except (Refused, Conflict) as error:
            return ExecuteOutput(outcome="unknown", decision=decision, detail=str(error))
        # An attempt that they let begin has used them up: what became of it is a question of its own.
        if set(settled) & set((await asyncio.to_thread(self._row, call.call_id)).approvals):
            settled = []
        never_began = reserved.executor == self.name and (call.call_id, reserved.attempt) in self.not_started
        if not (settled or never_began or self._safe_to_repeat(execution)):
            detail = f"executor {reserved.executor!r} began it at {reserved.at.isoformat()} and left no result"
            detail += _asked_for(await asyncio.to_thread(self.ledger.left, call.call_id))
            return ExecuteOutput(outcome="unknown", decision=decision, detail=detail)
        return await asyncio.to_thread(self._retake, call.call_id, reserved, settled)

    def _admit(self, call: ToolCall, digest: str, proof: RunProof, now: datetime) -> ToolEntry:
        """Raises unless the run is alive, its requester still speaks, and it proposed exactly this call."""
        if proof.ended:
            raise Refused(f"run {call.run!r} has ended")
        if proof.controls.cancelled:
            raise Refused(f"run {call.run!r} was cancelled")
        if proof.controls.paused:
            raise Paused(f"run {call.run!r} is paused", next_step=f"interlock run resume {call.run}")
        claims = proof.requester()
        if int(now.timestamp()) >= claims.exp:
            raise TokenRejected(f"the request of {claims.sub} for run {call.run!r} has expired")
        if digest not in proof.proposals:
            raise EventForged(f"call {call.call_id!r} is not the one that was proposed (digests differ)")
        if by := proof.votes.turned_down.get(digest):
            raise Refused(f"call {call.call_id!r} was turned down by {by}; that is final")
        if call.tool in BUILT_IN_TOOLS:
            raise InvalidInput(f"{call.tool!r} runs nothing; people decide it")
        return proof.reach().tool(call.agent.removeprefix("agent:"), call.tool)

    def _quorum(
        self, tokens: tuple[str, ...], proof: RunProof, digest: str, decision: Decision, now: datetime
    ) -> list[str]:
        """The nonces of the approvals that let this call run; none where the policy simply allows."""
        if decision.verdict == "allow":
            return []
        assert decision.route is not None, "the policy gives every ask its route"
        return self._approved(tokens, proof, decision.route, "call", digest, now)

    def _settlement(
        self, tokens: tuple[str, ...], proof: RunProof, call: ToolCall, digest: str, now: datetime
    ) -> list[str]:
        """The nonces of the decisions that let a call of unknown outcome run again: approvals by the people whom
        the policy in force, not the one on record, asks about settling it."""
        if not tokens:
            return []
        proposals = proof.settling(call.call_id, call.tool)
        if not proposals:
            raise Refused(f"nobody was asked to settle call {call.call_id!r}")
        bundle = self.policy.current()
        asked = decide(bundle, proof.question(proposals[-1], now, bundle))
        if asked.route is None:
            raise Refused(f"no rule lets people settle call {call.call_id!r} now: {asked.reason}")
        return self._approved(tokens, proof, asked.route, "unknown", digest, now)

    def _approved(
        self, tokens: tuple[str, ...], proof: RunProof, route: Route, about: RequestKind, digest: str, now: datetime
    ) -> list[str]:
        """The nonces of the approvals that these tokens are.

        Raises:
            TokenRejected: nobody signed one.
            Refused, Conflict: they do not make the route's quorum for this call, are too old, or not on record.
        """
        votes = [ApprovalClaims.read(self.recorded.api, token, now=None) for token in tokens]
        for vote in votes:
            if vote.about != about:
                raise Refused(f"the approval of {vote.sub} is about another kind of request than {about!r}")
            if int(now.timestamp()) >= vote.exp:
                raise Refused(f"the approval of {vote.sub} has expired")
        claims = proof.requester()
        nonces = check_quorum(votes, route, run=proof.run, call=digest, requester=claims.sub, tenant=claims.tenant)
        if not proof.votes.recorded.issuperset(nonces):
            raise Refused(f"an approval of call {digest} is not on record in run {proof.run!r}")
        return nonces

    def _safe_to_repeat(self, execution: Execution) -> bool:
        """Whether a second run cannot double an effect: the tool says so, or nothing can leave its sandbox."""
        schema = execution.entry.schema_
        if schema.idempotent:
            return True
        closed = execution.way_out is None and self.driver.contained(execution.profile)
        return schema.effects == "contained" and closed

    def _retake(self, call_id: str, reserved: ReserveOutcome, settled: list[str]) -> int:
        try:
            return self.ledger.retake(call_id, self.name, reserved.attempt, settled)
        except Conflict as error:
            now = self._row(call_id)
            if now.finished_at is None and now.attempt == reserved.attempt:
                raise
            # An attempt that was taken for dead came to its end in this moment: the next one finds its result.
            raise Unreachable(f"call {call_id!r} was taken over or ended meanwhile") from error

    def _row(self, call_id: str) -> CallRow:
        return next(row for row in self.ledger.calls(call_id.rpartition(":")[0]) if row.call_id == call_id)

    def _reserve(self, call: ToolCall, digest: str, decision: Decision, nonces: list[str]) -> ReserveOutcome:
        return self.ledger.reserve(
            Reservation(
                call_id=call.call_id,
                run=call.run,
                call_digest=digest,
                executor=self.name,
                verdict=decision.verdict,
                rule=decision.rule,
                bundle=decision.bundle,
                request=decision.request,
                approvals=tuple(nonces),
            )
        )


def _asked_for(requests: list[EgressRecord]) -> str:
    """What an attempt of unknown end asked for outside, for the person who settles it."""
    if not requests:
        return ""
    told = [f"{one.asked} ({one.verdict})" for one in requests[:8]]
    more = f" and {len(requests) - 8} more" if len(requests) > 8 else ""
    return f"; it asked for {', '.join(told)}{more}"


def _check_date(event: Event, now: datetime) -> None:
    """Raises EventForged for an event of the future: it would put off every deadline that counts from it."""
    if event.time - now > CLOCKS_MAY_DIFFER:
        raise EventForged(
            f"event {event.seq} ({event.kind}) of run {event.run!r} is dated {event.time.isoformat()}, it is "
            f"{now.isoformat()} here",
            next_step="compare the clocks of the Temporal server and the executor",
        )
