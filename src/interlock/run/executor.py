"""The execution edge: the one place where a call runs. It believes nobody.

Whatever arrives through Temporal is a claim. The executor commits the run's events only if every claim in
them is borne out, derives the call's digest again, decides again with the policy in force, counts the
approval tokens itself, reserves the call once and for ever, runs it, and signs what happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from weakref import WeakValueDictionary

from cachetools import LRUCache
from pydantic import JsonValue
from pydantic_core import to_jsonable_python
from temporalio import activity
from temporalio.exceptions import ApplicationError

from interlock.approval import ApprovalClaims, Seats, check_quorum
from interlock.audit import Ledger, Reservation, ReserveOutcome
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
from interlock.events import GENESIS, Event
from interlock.policy import Bundle, PolicySource, decide
from interlock.run.contracts import HAND_OFF_TOOL, PUT_TO_PEOPLE, CommitInput, ExecuteInput, ExecuteOutput
from interlock.run.deciding import failure
from interlock.run.execution import Execution, Live
from interlock.run.grants import lets_run
from interlock.run.handing_on import HandingOn
from interlock.run.in_doubt import InDoubt, refused
from interlock.run.obligations import profile_of
from interlock.run.packing import BY_THE_EXECUTOR, Batch, restored, short, unpack
from interlock.run.paused import Paused
from interlock.run.proof import Granted, RunProof, Sources
from interlock.run.shadow import Shadow
from interlock.run.steps import COMMIT, EXECUTE
from interlock.run.threads import then_cancelled
from interlock.run.ways_out import way_out
from interlock.sandbox import Driver
from interlock.signing import Signer
from interlock.types.access import AccessRequest, Decision, canonical_request
from interlock.types.approval import RequestKind
from interlock.types.blobs import BlobStore
from interlock.types.call import ToolCall
from interlock.types.route import Route

BEAT_S: Final = 0.8
CLOCKS_MAY_DIFFER: Final = timedelta(minutes=5)
CLOCKS_MAY_BE_WRONG: Final = timedelta(days=2)


def speaking() -> str:
    """The run that an activity acts for: a run speaks only for itself, and Temporal's server says which workflow
    scheduled the activity."""
    workflow = activity.info().workflow_id
    assert workflow is not None, "only workflows schedule these activities"
    return workflow


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
    blobs: BlobStore
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
    results: LRUCache[tuple[str, str], ExecuteOutput] = field(default_factory=lambda: LRUCache(maxsize=512))
    """What this process wrote into the ledger, by call id and digest."""
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
        run = speaking()
        try:
            proof = await self.commit(run, request.events)
            if request.final and proof.ended:
                await asyncio.to_thread(self.ledger.checkpoint, run, self.sealer)
                await self.driver.release(run)
            return proof.count - 1
        except InterlockError as error:
            raise await self.alarmed(run, error) from None

    @activity.defn(name=EXECUTE)
    async def execute_call(self, request: ExecuteInput) -> ExecuteOutput:
        """Judge one call from first principles and run it if it holds up."""
        run, live = speaking(), Live()
        beats = asyncio.create_task(_beat(live))
        try:
            proof = await self.commit(run, request.events)
            # Now: while the call runs, others add to this proof, or fail to.
            files = proof.workspace if proof.count == request.events.last + 1 else None
            output = await self._judge_and_run(request, proof, live)
            return output.model_copy(update={"workspace": None}) if output.workspace == files else output
        except InterlockError as error:
            raise await self.alarmed(run, error) from None
        finally:
            beats.cancel()

    # -- what was said -------------------------------------------------------------------------------------

    async def commit(self, run: str, batch: Batch) -> RunProof:
        """Verify the events that the ledger lacks, then append them. One run's events are taken in turn."""
        lock = self.locks.setdefault(run, asyncio.Lock())
        async with lock:
            # Cancelled or not, no second thread works on this run's proof before this one is done.
            return await then_cancelled(self._append, run, batch)

    def _append(self, run: str, batch: Batch) -> RunProof:
        proof = self.proofs.get(run)
        if proof is None or proof.count < batch.first:
            proof = self._proof(run)
        try:
            events = list(self._verified(proof, batch))
            self._check_head(proof, batch)
            held = self.ledger.append(run, events) if events else self.ledger.head(run)
        except BaseException:
            self.proofs.pop(run, None)  # what it learned may be more than what the ledger holds
            raise
        if self.shadow is not None:
            self.shadow.observe(events)
        # Where another executor committed more, nothing is judged by less than all of it.
        return proof if held.count == proof.count else self._proof(run)

    def _verified(self, proof: RunProof, batch: Batch) -> Iterator[Event]:
        """Those events of a batch that the ledger lacks, each fed to the run's proof."""
        held, now = proof.count, datetime.now(UTC)
        if batch.first > held:
            raise EventForged(f"events {held} to {batch.first - 1} of run {proof.run!r} are missing")
        for row in batch.rows[held - batch.first :]:
            event = unpack(row, proof.trail, self._ended)
            _check_date(event, now)
            proof.feed(event)
            yield event

    def _check_head(self, proof: RunProof, batch: Batch) -> None:
        """Raises EventForged where the sender's chain is another than the ledger's."""
        head = proof.trail.head
        if batch.last + 1 < proof.count:
            head = self.ledger.events(proof.run, batch.last - 1)[0].hash if batch.last >= 0 else GENESIS
        if short(head) != batch.head:
            raise EventForged(
                f"the chain of run {proof.run!r} up to event {batch.last} is not the one that its workflow has",
                next_step=f"interlock replay {proof.run}",
            )

    def _ended(self, call_id: str, call_digest: str) -> Mapping[str, JsonValue] | None:
        """How a call ended by the ledger, which this process may have told so itself."""
        result = self.results.get((call_id, call_digest))
        if result is None:
            stored = self.ledger.finished(call_id, call_digest)
            if stored is None:
                return None
            result = ExecuteOutput.model_validate(parse(stored))
        return {name: to_jsonable_python(getattr(result, name)) for name in (*BY_THE_EXECUTOR, "egress")}

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

    async def proof_of(self, run: str) -> RunProof:
        """The verified facts of any run that is on record here."""
        async with self.locks.setdefault(run, asyncio.Lock()):
            return await then_cancelled(self._proof, run)

    def _bundle(self, digest: str) -> Bundle:
        current = self.policy.current()
        return current if current.digest == digest else self.recorded.bundle(digest)

    async def alarmed(self, run: str, error: InterlockError) -> ApplicationError:
        """The error as an activity raises it, once what was forged has raised an alarm."""
        if isinstance(error, (EventForged, TokenRejected, IntegrityError)):
            await asyncio.to_thread(self.ledger.alarm, run, "event.forged", str(error))
        return failure(error)

    # -- what may run --------------------------------------------------------------------------------------

    async def _judge_and_run(self, request: ExecuteInput, proof: RunProof, live: Live) -> ExecuteOutput:
        call, now = proof.proposed(restored(proof.run, request.call)), datetime.now(UTC)
        digest = digest_of(call.as_hashed())
        # A retry of what already ran takes the stored result: neither a later rule nor the files that the call
        # itself changed speak against what has happened.
        if activity.info().attempt > 1 and digest in proof.proposals:
            stored = await asyncio.to_thread(self.ledger.finished, call.call_id, digest)
            if stored is not None:
                return ExecuteOutput.model_validate(parse(stored))
        hands_on = call.tool == HAND_OFF_TOOL
        if hands_on and (known := await HandingOn(self).known(call, digest, give_up=request.give_up)) is not None:
            return known
        entry = self._admit(call, digest, proof, now)
        await HandingOn(self).stand(proof)
        bundle = self.policy.current()
        access = proof.question(proof.proposals[digest], now, bundle)
        blobs = self.blobs.of(call.run)
        blobs.put(canonical(canonical_request(access)))
        decision = decide(bundle, access)
        refuse = partial(refused, self, call, digest, decision)
        if decision.verdict == "deny":
            return await refuse(decision.reason)
        if not hands_on:
            profile = profile_of(bundle, entry.schema_, decision)
            try:
                leaves = way_out(bundle, decision, entry.schema_, profile)
            except Refused as error:
                return await refuse(str(error))
        if entry.schema_.workspace != "none" and call.workspace != self.ledger.workspace(call.run):
            return await refuse(
                "another call changed the run's files since this one was proposed; look again, then propose"
            )
        for pinned in filter(None, (entry.source, call.workspace)):
            blobs.get(pinned)  # what is absent or altered is found before the call is reserved
        try:
            nonces = self._quorum(request.approvals, proof, access, decision, now, call)
        except TokenRejected:
            raise  # no honest worker hands in what nobody signed
        except (Refused, Conflict) as error:
            if request.approvals:
                return await refuse(str(error))
            return ExecuteOutput(outcome="ask", decision=decision, detail=str(error))
        # Last, so that what nobody decided or approved on record has no way to run, and so need not be counted.
        if why := proof.so_far.may_run(digest):
            raise Refused(f"call {call.call_id!r} does not run: {why}")
        if hands_on:
            return await HandingOn(self).begin(call, digest, decision, nonces, access.arguments, proof)
        reserved = await asyncio.to_thread(self.reserve, call, digest, decision, nonces)
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
            settled = partial(self._settlement, request.settled, proof, call, digest, now)
            return await InDoubt(execution, reserved, settled).resolved()
        return await execution.run()

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
        if call.tool in PUT_TO_PEOPLE:
            raise InvalidInput(f"{call.tool!r} runs nothing; people decide it")
        return proof.reach().tool(call.agent.removeprefix("agent:"), call.tool)

    def _quorum(
        self,
        tokens: tuple[str, ...],
        proof: RunProof,
        access: AccessRequest,
        decision: Decision,
        now: datetime,
        call: ToolCall,
    ) -> list[str]:
        """The nonces of the approvals, or of the use of a grant, that let this call run; none where the policy
        simply allows."""
        if decision.verdict == "allow":
            return []
        assert decision.route is not None, "the policy gives every ask its route"
        digest = digest_of(call.as_hashed())
        if not tokens and (granted := proof.granted.get(digest)) is not None:
            return [self._granted(granted, call, access, decision, now)]
        return self._approved(tokens, proof, decision.route, "call", digest, now)

    def _granted(
        self, granted: Granted, call: ToolCall, access: AccessRequest, decision: Decision, now: datetime
    ) -> str:
        """The nonce of a grant's use, if the grant still lets this call run and this process counted the use."""
        grant = granted.claims.jti
        if (by := self.ledger.grant(grant).revoked_by) != "":
            raise Refused(f"grant {grant!r} was revoked by {by}")
        used = self.ledger.grant_used_by(call.call_id)
        if used is None or (used.grant, used.number) != (grant, granted.number):
            raise Refused(f"use {granted.number} of grant {grant!r} is not on record for call {call.call_id!r}")
        if why := lets_run(granted.claims, call, access, decision, self.policy.current(), now):
            raise Refused(f"grant {grant!r} does not let call {call.call_id!r} run: {why}")
        return f"{grant}.{granted.number}"

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
        claims, asked = proof.requester(), proof.votes.approved(digest, about)
        if any(vote.emergency for vote in votes) and not proof.votes.asked("review", digest):
            raise Refused("nobody was asked to review the emergency approval of this call")
        nonces = check_quorum(
            votes,
            route,
            run=proof.run,
            call=digest,
            requester=claims.sub,
            tenant=claims.tenant,
            passed_over=asked.passed_over if asked else (),
            seats=Seats(asked.moved) if asked else None,
        )
        if not proof.votes.recorded.issuperset(nonces):
            raise Refused(f"an approval of call {digest} is not on record in run {proof.run!r}")
        return nonces

    def reserve(self, call: ToolCall, digest: str, decision: Decision, nonces: list[str]) -> ReserveOutcome:
        """Claim a call once and for ever, by this decision and these approvals."""
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


def _check_date(event: Event, now: datetime) -> None:
    """Raises for an event of the future, which would put off every deadline that counts from it: Unreachable where
    a clock may be wrong, so that the run goes on once they agree; EventForged where none is that wrong."""
    ahead = event.time - now
    if ahead > CLOCKS_MAY_DIFFER:
        kind = Unreachable if ahead < CLOCKS_MAY_BE_WRONG else EventForged
        raise kind(
            f"event {event.seq} ({event.kind}) of run {event.run!r} is dated {event.time.isoformat()}, it is "
            f"{now.isoformat()} here",
            next_step="compare the clocks of the Temporal server and the executor",
        )
