"""What a run's events prove: each claim is checked against the signature, digest or decision behind it.

The executor feeds every event here before it is committed, and `interlock replay` feeds it the ledger: an
event that states a decision nobody would make, an approval nobody signed, a requester who never asked or a
receipt that no executor gave is forged, and nothing runs on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from interlock.approval import ApprovalClaims, ControlClaims, RequesterClaims, check_vote
from interlock.audit import Ledger
from interlock.digest import digest_of, parse
from interlock.errors import EventForged, InterlockError, InvalidInput, Unreachable
from interlock.events import (
    ApprovalDecided,
    ApprovalRequested,
    CallDecided,
    CallFinished,
    CallProposed,
    Event,
    RunCancelled,
    RunEnded,
    RunPaused,
    RunResumed,
    RunStarted,
)
from interlock.policy import Bundle, decide
from interlock.run.arguments import load_arguments
from interlock.run.catalogue import Scope, access_request, load_manifest
from interlock.run.receipt import Receipt
from interlock.signing import Verifier, load_verifier
from interlock.types.access import AccessRequest, Decision, Route, canonical_request
from interlock.types.approval import ApprovalRequest
from interlock.types.blobs import Blobs
from interlock.types.call import ToolCall


@dataclass(frozen=True)
class Sources:
    """Where proofs are looked up."""

    blobs: Blobs
    api: Verifier
    executor: Verifier
    bundle: Callable[[str], Bundle]
    """The bundle of a digest, if it is one that was in force here; raises where it is not."""


@dataclass
class RunProof:
    """The verified facts of one run, event by event."""

    run: str
    sources: Sources
    count: int = 0
    claims: RequesterClaims | None = None
    scope: Scope | None = None
    proposals: dict[str, CallProposed] = field(default_factory=dict)
    """By call digest."""
    decisions: dict[str, Decision] = field(default_factory=dict)
    """The latest verified decision, by call digest."""
    requests: dict[str, ApprovalRequest] = field(default_factory=dict)
    paused: bool = False
    ended: bool = False

    def feed(self, event: Event) -> None:
        """Verify one event's claims and keep what it proves.

        Raises:
            EventForged: names the event, the claim, and what speaks against it.
            Unreachable: what it rests on cannot be looked up now.
        """
        try:
            self._feed(event)
        except (EventForged, Unreachable):
            raise
        except InterlockError as error:
            raise EventForged(f"event {event.seq} ({event.kind}) of run {self.run!r}: {error}") from error
        self.count = event.seq + 1

    def requester(self) -> RequesterClaims:
        """Who the run acts for. Raises EventForged before `run.started` was seen."""
        if self.claims is None:
            raise EventForged(f"run {self.run!r} has no verified start")
        return self.claims

    def reach(self) -> Scope:
        """What the run may use. Raises EventForged before `run.started` was seen."""
        if self.scope is None:
            raise EventForged(f"run {self.run!r} has no verified start")
        return self.scope

    def _feed(self, event: Event) -> None:
        if event.run != self.run or event.seq != self.count:
            raise InvalidInput(f"out of place: expected event {self.count} of run {self.run!r}")
        if (event.seq == 0) != isinstance(event, RunStarted):
            raise InvalidInput("a run starts with run.started, and only once")
        match event:
            case RunStarted():
                self._started(event)
            case CallProposed():
                self._proposed(event)
            case CallDecided():
                self._decided(event)
            case ApprovalRequested():
                self._requested(event)
            case ApprovalDecided():
                self._voted(event)
            case CallFinished():
                self._finished(event)
            case RunPaused() | RunResumed():
                self._control(event.token, event.by, "pause" if isinstance(event, RunPaused) else "resume")
                self.paused = isinstance(event, RunPaused)
            case RunCancelled():
                if event.token or event.by != "temporal":
                    self._control(event.token, event.by, "cancel")
            case RunEnded():
                _same("count", event.count, event.seq + 1)
                self.ended = True
            case _:
                pass  # what the graph worker says of its agents and models proves nothing and permits nothing

    def _started(self, event: RunStarted) -> None:
        claims = RequesterClaims.read(self.sources.api, event.requester_token, now=None)
        for name, said in (
            ("run", event.run),
            ("tenant", event.tenant),
            ("workflow", event.workflow),
            ("manifest", event.manifest),
            ("input", event.input),
            ("workspace", event.workspace),
        ):
            _same(name, said, getattr(claims, name))
        _same("requester", event.requester, claims.sub)
        manifest = load_manifest(self.sources.blobs, claims.manifest)
        value = parse(self.sources.blobs.get(claims.input))
        self.claims, self.scope = claims, Scope.of(manifest, claims.workflow, value)

    def _proposed(self, event: CallProposed) -> None:
        call = self.call_of(event)
        _same("call_digest", event.call_digest, digest_of(call.as_hashed()))
        entry = self.reach().tool(event.agent.removeprefix("agent:"), event.tool)
        _same("tool_digest", event.tool_digest, entry.source)
        self.proposals[event.call_digest] = event

    def call_of(self, event: CallProposed) -> ToolCall:
        """The call that a proposal describes."""
        return ToolCall(
            tenant=self.requester().tenant,
            run=self.run,
            **event.model_dump(include={"call_id", "agent", "tool", "tool_digest", "arguments", "workspace"}),
        )

    def question(self, proposal: CallProposed, time: Any) -> AccessRequest:
        """The access request about a proposed call at `time`, derived from the pinned facts alone."""
        claims, agent = self.requester(), proposal.agent.removeprefix("agent:")
        return access_request(
            self.reach().tool(agent, proposal.tool),
            load_arguments(self.sources.blobs, proposal.arguments),
            tenant=claims.tenant,
            agent=agent,
            requester=claims.sub,
            run=self.run,
            workflow=claims.workflow,
            time=time,
        )

    def _decided(self, event: CallDecided) -> None:
        proposal = self._proposal(event.call_digest)
        _same("call_id", event.call_id, proposal.call_id)
        stated = AccessRequest.model_validate(parse(self.sources.blobs.get(event.request)))
        derived = self.question(proposal, stated.time)
        _same("request", event.request, digest_of(canonical_request(derived)))
        decision = decide(self.sources.bundle(event.bundle), derived)
        _same("verdict", event.verdict, decision.verdict)
        _same("rule", event.rule, decision.rule)
        _same("nearest", event.nearest, decision.nearest)
        _same("condition_errors", event.condition_errors, decision.condition_errors)
        self.decisions[event.call_digest] = decision

    def _requested(self, event: ApprovalRequested) -> None:
        decision, route = self._asked(event)
        _same("reason", event.reason, decision.reason)
        _same("route", event.route, route.name)
        _same("approvers", event.approvers, route.approvers)
        _same("quorum", event.quorum, route.quorum)
        _same("expires_at", event.expires_at, event.time + timedelta(seconds=route.expires_after_s))
        _same("subject", event.subject, self._proposal(event.call_digest).arguments)
        if event.request_id in self.requests:
            raise InvalidInput(f"request_id: {event.request_id!r} was used before")
        self.requests[event.request_id] = ApprovalRequest(
            request_id=event.request_id,
            run=self.run,
            kind=event.about,
            call_id=event.call_id,
            call_digest=event.call_digest,
            subject=event.subject,
            rule=event.rule,
            route=route,
            requester=self.requester().sub,
            requested_at=event.time,
            expires_at=event.expires_at,
        )

    def _asked(self, event: ApprovalRequested) -> tuple[Decision, Route]:
        """The decision that asked, and its route: that of the call itself, or, for an unknown outcome, that of
        the decision on settling it."""
        if event.about == "unknown":
            asked = [d for d in self.decisions.values() if d.verdict == "ask" and d.rule == event.rule]
        else:
            asked = [self.decisions[event.call_digest]] if event.call_digest in self.decisions else []
        for decision in reversed(asked):
            if decision.route is not None and decision.rule == event.rule:
                return decision, decision.route
        raise InvalidInput(f"rule: {event.rule!r} asked nobody about this call")

    def _voted(self, event: ApprovalDecided) -> None:
        request = self.requests.get(event.request_id)
        if request is None:
            raise InvalidInput(f"request_id: {event.request_id!r} was never opened")
        claims = ApprovalClaims.read(self.sources.api, event.token, now=None)
        _same("verdict", event.verdict, claims.verdict)
        _same("approver", event.approver, claims.sub)
        _same("message", event.message, claims.message)
        _same("edited", event.edited, claims.edited)
        check_vote(request, claims, tenant=self.requester().tenant, now=event.time)

    def _finished(self, event: CallFinished) -> None:
        receipt = Receipt.read(self.sources.executor, event.receipt)
        proposal = self._proposal(event.call_digest)
        _same("call_id", event.call_id, proposal.call_id)
        for name, said in (
            ("run", event.run),
            ("call_id", event.call_id),
            ("call", event.call_digest),
            ("status", event.status),
            ("output", event.output),
            ("workspace", event.workspace),
            ("artifacts", event.artifacts),
        ):
            _same(name, said, getattr(receipt, name))

    def _control(self, token: str, by: str, verb: str) -> None:
        claims = ControlClaims.read(self.sources.api, token, now=None)
        _same("run", self.run, claims.run)
        _same("by", by, claims.sub)
        _same("verb", verb, claims.verb)

    def _proposal(self, call_digest: str) -> CallProposed:
        if call_digest not in self.proposals:
            raise InvalidInput(f"call_digest: no such call was proposed ({call_digest})")
        return self.proposals[call_digest]


def _same(name: str, said: Any, found: Any) -> None:
    if said != found:
        raise InvalidInput(f"{name}: the event says {str(said)[:200]!r}, its proof says {str(found)[:200]!r}")


def recorded_sources(ledger: Ledger, blobs: Blobs, keys: Path) -> Sources:
    """Sources for reading a record: public keys from `keys`, and the bundles that an executor itself had in
    force, as the ledger remembers them. A bundle that somebody merely put among the blobs counts for nothing.

    Raises:
        Unreachable: a public key is missing.
    """

    def bundle(digest: str) -> Bundle:
        if not ledger.knows_bundle(digest):
            raise Unreachable(
                f"policy bundle {digest} was never in force on an executor",
                next_step="make permissions/ the same on graph workers and executors",
            )
        return Bundle.from_bytes(blobs.get(digest))

    return Sources(blobs, load_verifier(keys, "api"), load_verifier(keys, "executor"), bundle)
