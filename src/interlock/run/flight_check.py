"""`interlock flight-check`: may this code and this policy take over the runs that are open?

Three questions about each open run, before anything is deployed:

1. code: does its history replay through the workflows and graphs of this checkout?
2. policy: would a request that waits for people be decided otherwise, and would what people approved still count?
3. time: does the requester's word still hold for a while?
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError
from temporalio.worker import Replayer

from interlock.approval import PendingApproval, check_quorum
from interlock.audit import Ledger
from interlock.errors import Conflict, InterlockError, Refused, Unreachable
from interlock.events import CallProposed, Event
from interlock.policy import Bundle, decide
from interlock.run.chain import tap
from interlock.run.differences import Side, difference, side
from interlock.run.inbox import verified
from interlock.run.proof import RunProof
from interlock.settings import Settings
from interlock.types.blobs import BlobStore

Kind = Literal["code", "record", "request", "approval", "expiry"]
"""code: the history does not replay. record: the run's own record does not hold. request: what waits for people
would be decided otherwise. approval: what people approved would no longer let the call run. expiry: the requester's
word ends soon."""


@dataclass(frozen=True)
class Finding:
    """One thing that would go wrong."""

    run: str
    kind: Kind
    about: str
    """The request, the call, or the run itself."""
    message: str


@dataclass
class FlightCheck:
    """What was looked at, and what was found."""

    open_runs: int = 0
    stored: int = 0
    """Histories from files."""
    requests: int = 0
    approvals: int = 0
    """Approvals that no call has used yet."""
    findings: list[Finding] = field(default_factory=list)


@dataclass
class Checker:
    """Checks runs against one checkout's code and one policy."""

    settings: Settings
    ledger: Ledger
    blobs: BlobStore
    replayer: Replayer
    bundle: Bundle
    now: datetime
    horizon: timedelta
    """A requester's word that ends within this is a finding."""
    found: FlightCheck = field(default_factory=FlightCheck)

    async def open_run(self, client: Client, run: str, execution: str) -> None:
        """Check one open run."""
        self.found.open_runs += 1
        try:
            history = await client.get_workflow_handle(run, run_id=execution).fetch_history()
        except RPCError as error:
            raise Unreachable(f"Temporal does not give the history of run {run!r}: {error.message}") from error
        events = await self._replayed(history)
        if self.ledger.head(run).count:
            self._policy(run, events)

    async def stored(self, history: WorkflowHistory) -> None:
        """Check one execution from a file: its code alone, since it is of no run that goes on."""
        self.found.stored += 1
        await self._replayed(history)

    async def _replayed(self, history: WorkflowHistory) -> list[Event]:
        """The events that the history gives."""
        events: list[Event] = []
        tap(history.workflow_id, events.append)
        try:
            failure = (await self.replayer.replay_workflow(history, raise_on_replay_failure=False)).replay_failure
        except Exception as error:  # a history that is none
            failure = error
        finally:
            tap(history.workflow_id, None)
        if failure is not None:
            run = history.workflow_id
            self._note(run, "code", run, f"its history does not replay through this code: {failure}"[:1000])
        return events

    def _policy(self, run: str, events: list[Event]) -> None:
        try:
            proof = verified(run, self.settings, self.ledger, self.blobs)
            # A decision of people is committed with the call that it lets run: until then only the history has it.
            for event in events:
                if event.seq == proof.count:
                    proof.feed(event)
        except InterlockError as error:
            self._note(run, "record", run, str(error))
            return
        if proof.ended:
            return
        self._expiry(proof)
        used = {row.call_id for row in self.ledger.calls(run)}
        for pending in proof.votes.pending.values():
            if pending.open:
                self._request(proof, pending)
            elif pending.state == "approved" and pending.request.call_id not in used:
                self._approval(proof, pending)

    def _expiry(self, proof: RunProof) -> None:
        ends = datetime.fromtimestamp(proof.requester().exp, self.now.tzinfo)
        if ends <= self.now + self.horizon:
            message = f"the word of {proof.requester().sub} ends at {ends.isoformat()}; every call is refused then"
            self._note(proof.run, "expiry", proof.run, message)

    def _request(self, proof: RunProof, pending: PendingApproval) -> None:
        self.found.requests += 1
        for proposal in self._about(proof, pending):
            before = proof.decisions[proposal.call_digest]
            if before.rule != pending.request.rule:
                continue
            old = side(self._bundle(proof, before.bundle), before, **_people(proof))
            if changed := difference(old, self._decided(proof, proposal)):
                told = "; ".join((f"{changed.before.words} → {changed.after.words}", *changed.details))
                self._note(proof.run, "request", pending.request.request_id, f"{changed.kind}: {told}")
            return

    def _approval(self, proof: RunProof, pending: PendingApproval) -> None:
        self.found.approvals += 1
        request = pending.request
        for proposal in self._about(proof, pending):
            after = self._decided(proof, proposal)
            if after.verdict == "deny":
                self._note(proof.run, "approval", request.request_id, f"the call would be denied: {after.words}")
            elif after.terms is not None and after.terms.route is not None:
                votes, claims = [vote.claims for vote in pending.approvals()], proof.requester()
                try:
                    check_quorum(
                        votes,
                        after.terms.route,
                        run=proof.run,
                        call=request.call_digest,
                        requester=claims.sub,
                        tenant=claims.tenant,
                    )
                except (Refused, Conflict) as error:
                    self._note(proof.run, "approval", request.request_id, f"it would not count: {error}")
            return

    def _about(self, proof: RunProof, pending: PendingApproval) -> Iterator[CallProposed]:
        """The proposals whose decision asked, newest first."""
        request = pending.request
        own = proof.proposals[request.call_digest]
        found = proof.settling(own.call_id, own.tool) if request.kind == "unknown" else [own]
        yield from (one for one in reversed(found) if one.call_digest in proof.decisions)

    def _decided(self, proof: RunProof, proposal: CallProposed) -> Side:
        decision = decide(self.bundle, proof.question(proposal, self.now, self.bundle))
        return side(self.bundle, decision, **_people(proof))

    def _bundle(self, proof: RunProof, digest: str) -> Bundle:
        return proof.sources.bundle(digest)

    def _note(self, run: str, kind: Kind, about: str, message: str) -> None:
        self.found.findings.append(Finding(run, kind, about, message))


def _people(proof: RunProof) -> dict[str, str]:
    claims = proof.requester()
    return {"tenant": claims.tenant, "requester": claims.sub}


async def open_runs(client: Client, queue: str) -> AsyncIterator[tuple[str, str]]:
    """Id and execution of each workflow that is open on a task queue.

    Raises:
        Unreachable: Temporal does not answer.
    """
    query = f"ExecutionStatus = 'Running' AND TaskQueue = '{queue}'"
    try:
        async for found in client.list_workflows(query):
            yield found.id, found.run_id
    except RPCError as error:
        raise Unreachable(f"Temporal does not list the open runs: {error.message}") from error
