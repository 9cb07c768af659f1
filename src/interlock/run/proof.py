"""What a run's events prove: each claim is checked against the signature, digest or decision behind it.

The executor feeds every event here before it is committed, and `interlock replay` feeds it the ledger: an
event that states a decision nobody would make, an approval nobody signed, a requester who never asked or a
receipt that no executor gave is forged, and nothing runs on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from interlock.approval import ControlClaims, Controls, RequesterClaims, SignalClaims, Signals
from interlock.approval.grants import GrantClaims, check_grant
from interlock.audit import Ledger
from interlock.definitions import ToolEntry
from interlock.digest import digest_of, parse
from interlock.errors import EventForged, InterlockError, InvalidInput, Unreachable
from interlock.events import (
    ApprovalAdvanced,
    ApprovalDecided,
    ApprovalExpired,
    ApprovalReassigned,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalWithdrawn,
    CallDecided,
    CallFinished,
    CallProposed,
    EgressRequested,
    Event,
    GrantMade,
    GrantUsed,
    ModelResponded,
    RunCancelled,
    RunEnded,
    RunErased,
    RunPaused,
    RunResumed,
    RunStarted,
    SignalReceived,
)
from interlock.policy import Bundle, decide
from interlock.policy.fitting_arguments import argument_conditions
from interlock.run.arguments import load_arguments, normalise
from interlock.run.attributes import carried, complete
from interlock.run.catalogue import Scope, access_request, load_manifest
from interlock.run.contracts import ASK_TOOL, SETTLE_TOOL
from interlock.run.delegation import NOBODY_HANDED_ON, DelegationClaims, start_fields
from interlock.run.erasure import check_erasure
from interlock.run.grants import lets_run
from interlock.run.receipt import Receipt
from interlock.run.signal_values import check_fits
from interlock.run.so_far import SoFar
from interlock.run.spent import Spent
from interlock.run.start import verified_start
from interlock.run.trail import Trail
from interlock.run.votes import Votes, same
from interlock.signing import Verifier, load_verifier
from interlock.types.access import AccessRequest, Decision, canonical_request
from interlock.types.approval import ApprovalRequest
from interlock.types.blobs import BlobStore
from interlock.types.call import ToolCall
from interlock.types.egress import EgressRecord
from interlock.types.names import Digest
from interlock.types.route import Route

_VERBS: Final = {"run.paused": "pause", "run.resumed": "resume", "run.cancelled": "cancel"}


@dataclass(frozen=True)
class Sources:
    """Where proofs are looked up."""

    blobs: BlobStore
    """A proof of a run reads that run's content alone, and what is shared."""
    api: Verifier
    executor: Verifier
    bundle: Callable[[str], Bundle]
    """The bundle of a digest, if it is one that was in force here; raises where it is not."""


@dataclass(frozen=True)
class Granted:
    """A standing grant that a call used."""

    claims: GrantClaims
    number: int


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
    votes: Votes = field(default_factory=Votes)
    granted: dict[str, Granted] = field(default_factory=dict)
    """By call digest: the standing grant that lets it run."""
    controls: Controls = field(default_factory=Controls)
    signals: Signals = field(default_factory=Signals)
    workspace: str = ""
    """The files after the last call on record."""
    start: RunStarted | None = None
    end: RunEnded | None = None
    spent: dict[str, Spent] = field(default_factory=dict)
    """What each agent (`agent:NAME`) has used of its limits, by what the workflow says."""
    so_far: SoFar = field(default_factory=SoFar)
    trail: Trail = field(init=False)
    """From which the next event is derived where it travels packed."""
    _call_ids: dict[str, Digest] = field(default_factory=dict)
    """Call id → call digest."""
    _finished_calls: set[str] = field(default_factory=set)
    _egress: dict[str, list[EgressRecord]] = field(default_factory=dict)
    """What was said of each call's requests, by call digest; the call's receipt must bear it out."""

    def __post_init__(self) -> None:
        self.sources = replace(self.sources, blobs=self.sources.blobs.of(self.run))
        self.trail = Trail(run=self.run)

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
        # What cannot even be read as what it should be (a number of a million digits, a date beyond the calendar,
        # a blob of another shape) bears nothing out either.
        except (InterlockError, ValueError, TypeError, OverflowError) as error:
            raise EventForged(f"event {event.seq} ({event.kind}) of run {self.run!r}: {error}"[:2000]) from error
        self.so_far.feed(event)
        self.trail.feed(event)
        self.count = event.seq + 1

    @property
    def ended(self) -> bool:
        """Whether its last event is on record."""
        return self.end is not None

    @property
    def delegation(self) -> DelegationClaims | None:
        """The statement by which another run handed its work on; None where a person started it."""
        return self.claims if isinstance(self.claims, DelegationClaims) else None

    @property
    def delegators(self) -> tuple[str, ...]:
        """The agents that handed its work on, outermost first."""
        return self.delegation.delegators if self.delegation is not None else ()

    @property
    def requests(self) -> dict[str, ApprovalRequest]:
        """Every request that was opened, by id."""
        return {name: pending.request for name, pending in self.votes.pending.items()}

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
                self.votes.decided(event, self.sources.api)
            case ApprovalAdvanced():
                self.votes.advanced(event)
            case ApprovalReassigned() | ApprovalWithdrawn():
                self.votes.amended(event, self.sources.api)
            case ApprovalReminded():
                self.votes.reminded(event)
            case ApprovalExpired():
                self.votes.expired(event)
            case GrantMade():
                self._grant_made(event)
            case GrantUsed():
                self._grant_used(event)
            case EgressRequested():
                self._requested_outside(event)
            case CallFinished():
                self._finished(event)
            case RunPaused() | RunResumed() | RunCancelled():
                self._controlled(event)
            case SignalReceived():
                self._signalled(event)
            case RunEnded():
                same("count", event.count, event.seq + 1)
                same("workspace", event.workspace, self.workspace)
                if self._egress:
                    raise InvalidInput(f"no receipt bears out the requests of call {next(iter(self._egress))}")
                self.end = event
            case ModelResponded():
                self.spent.setdefault(event.agent, Spent()).replied(event.input_tokens + event.output_tokens)
            case RunErased():
                self._erased(event)
            case _:
                pass  # what the graph worker says of its agents and models proves nothing and permits nothing

    def _started(self, event: RunStarted) -> None:
        claims = verified_start(event, self.sources.api, self.sources.executor)
        for name, said in (
            ("run", event.run),
            ("tenant", event.tenant),
            ("workflow", event.workflow),
            ("manifest", event.manifest),
            ("input", event.input),
            ("workspace", event.workspace),
        ):
            same(name, said, getattr(claims, name))
        same("requester", event.requester, claims.sub)
        for name, stated in {**NOBODY_HANDED_ON, **start_fields(event.requester_token)}.items():
            same(name, getattr(event, name), stated)
        manifest = load_manifest(self.sources.blobs, claims.manifest)
        value = parse(self.sources.blobs.get(claims.input))
        self.start, self.claims, self.scope = event, claims, Scope.of(manifest, claims.workflow, value)
        self.workspace = claims.workspace

    def _proposed(self, event: CallProposed) -> None:
        call = self.call_of(event)
        same("call_digest", event.call_digest, digest_of(call.as_hashed()))
        entry = self.reach().tool(event.agent.removeprefix("agent:"), event.tool)
        same("tool_digest", event.tool_digest, entry.source)
        if entry.schema_.workspace == "none":
            same("workspace", event.workspace, "")
        if event.call_id in self._call_ids:
            raise InvalidInput(f"call_id: {event.call_id!r} was used before")
        if event.edited_from:
            same("arguments", event.arguments, self._edited(event.edited_from, entry))
        self._call_ids[event.call_id] = event.call_digest
        self.proposals[event.call_digest] = event

    def _edited(self, call_id: str, entry: ToolEntry) -> Digest:
        """Digest of the normalised arguments that an approver put in place of a call's."""
        if call_id not in self.votes.edits:
            raise InvalidInput(f"edited_from: nobody edited call {call_id!r}")
        raw = load_arguments(self.sources.blobs, self.votes.edits[call_id])
        return digest_of(normalise(entry.schema_.parameters, raw))

    def proposed(self, call_id: str) -> ToolCall:
        """The call that was proposed under an id. Raises EventForged where none was."""
        if call_id not in self._call_ids:
            raise EventForged(f"no call {call_id!r} was proposed in run {self.run!r}")
        return self.call_of(self.proposals[self._call_ids[call_id]])

    def call_of(self, event: CallProposed) -> ToolCall:
        """The call that a proposal describes."""
        return ToolCall(
            tenant=self.requester().tenant,
            run=self.run,
            **event.model_dump(include={"call_id", "agent", "tool", "tool_digest", "arguments", "workspace"}),
        )

    def question(
        self, proposal: CallProposed, time: Any, bundle: Bundle, events: int | None = None
    ) -> AccessRequest:
        """The access request about a proposed call at `time`, derived from the pinned facts and the run's first
        `events` events (all, if None) alone; it answers what `bundle` asks."""
        claims, agent = self.requester(), proposal.agent.removeprefix("agent:")
        entry = self.reach().tool(agent, proposal.tool)
        request = access_request(
            entry,
            load_arguments(self.sources.blobs, proposal.arguments),
            tenant=claims.tenant,
            agent=agent,
            delegators=self.delegators,
            requester=claims.sub,
            run=self.run,
            workflow=claims.workflow,
            time=time,
        )
        return complete(
            request,
            entry,
            self.so_far.at(self.count if events is None else events, proposal.seq),
            manifest=self.reach().manifest,
            bundle=bundle,
            blobs=self.sources.blobs,
            edited=bool(proposal.edited_from),
        )

    def _decided(self, event: CallDecided) -> None:
        proposal = self._proposal(event.call_digest)
        same("call_id", event.call_id, proposal.call_id)
        stated = AccessRequest.model_validate(parse(self.sources.blobs.get(event.request)))
        least = self.so_far.others_before(proposal.seq)
        if not least <= stated.events <= event.seq:
            wanted = f"at least {least} and at most {event.seq}"
            raise InvalidInput(f"request: it covers {stated.events} events, not {wanted}")
        bundle = self.sources.bundle(event.bundle)
        derived = self.question(proposal, stated.time, bundle, stated.events)
        same("request", event.request, digest_of(canonical_request(derived)))
        decision = decide(bundle, derived)
        self.so_far.carry(event.call_digest, carried(derived))
        same("verdict", event.verdict, decision.verdict)
        same("rule", event.rule, decision.rule)
        same("nearest", event.nearest, decision.nearest)
        same("condition_errors", event.condition_errors, decision.condition_errors)
        self.decisions[event.call_digest] = decision

    def _requested(self, event: ApprovalRequested) -> None:
        proposal = self._proposal(event.call_digest)
        decision, route = self._asked(event, proposal)
        for name, said, found in (
            ("agent", event.agent, proposal.agent),
            ("tool", event.tool, proposal.tool),
            ("call_id", event.call_id, proposal.call_id),
            ("subject", event.subject, proposal.arguments),
            ("reason", event.reason, decision.reason),
            ("route", event.route, route.name),
            ("stage", event.stage, route.stages[0].name),
            ("approvers", event.approvers, route.stages[0].approvers),
            ("quorum", event.quorum, route.stages[0].quorum),
            ("expires_at", event.expires_at, route.stages[0].deadline(event.time)),
            ("ends_at", event.ends_at, route.last_moment(event.time)),
        ):
            same(name, said, found)
        request = ApprovalRequest(
            request_id=event.request_id,
            run=self.run,
            kind=event.about,
            call_id=event.call_id,
            call_digest=event.call_digest,
            subject=event.subject,
            rule=event.rule,
            reason=event.reason,
            route=route,
            requester=self.requester().sub,
            requested_at=event.time,
            expires_at=event.expires_at,
        )
        self.votes.open(request, self.requester().tenant)

    def _asked(self, event: ApprovalRequested, proposal: CallProposed) -> tuple[Decision, Route]:
        """The decision that asked, and its route: that of the call itself, or, for an unknown outcome, that of
        the decision on settling it."""
        if (event.about == "question") != (proposal.tool == ASK_TOOL):
            raise InvalidInput(f"about: {event.about!r} is not what a call of {proposal.tool!r} asks")
        if event.about == "review":
            return self._reviewed(event, proposal)
        settles = event.about == "unknown"
        about = self.settling(proposal.call_id, proposal.tool) if settles else [proposal]
        for one in reversed(about):
            decision = self.decisions.get(one.call_digest)
            if decision is not None and decision.route is not None and decision.rule == event.rule:
                return decision, decision.route
        raise InvalidInput(f"rule: {event.rule!r} asked nobody about this call")

    def settling(self, call_id: str, tool: str) -> list[CallProposed]:
        """The proposals to settle the unknown outcome of a call of `tool`, oldest first."""
        found = []
        for proposal in self.proposals.values():
            if proposal.tool == SETTLE_TOOL:
                said = load_arguments(self.sources.blobs, proposal.arguments)
                if (said.get("call_id"), said.get("tool")) == (call_id, tool):
                    found.append(proposal)
        return found

    def _reviewed(self, event: ApprovalRequested, proposal: CallProposed) -> tuple[Decision, Route]:
        """The decision on a call that somebody let run in an emergency, and who reviews that."""
        asked = self.votes.approved(proposal.call_digest, "call")
        decision = self.decisions.get(proposal.call_digest)
        if asked is None or asked.emergency is None or decision is None or decision.rule != event.rule:
            raise InvalidInput("about: nobody let this call run in an emergency")
        return decision, asked.request.route.review(asked.emergency.sub)

    def _finished(self, event: CallFinished) -> None:
        receipt = Receipt.found(self.sources.executor, self.sources.blobs, event.receipt)
        proposal = self._proposal(event.call_digest)
        same("call_id", event.call_id, proposal.call_id)
        for name, said in (
            ("run", event.run),
            ("call_id", event.call_id),
            ("call", event.call_digest),
            ("status", event.status),
            ("output", event.output),
            ("workspace", event.workspace),
            ("artifacts", event.artifacts),
            ("start", event.start),
            ("usage", event.usage),
            ("child", event.child),
            ("egress", Receipt.egress_digest(self._egress.pop(event.call_digest, []))),
        ):
            same(name, said, getattr(receipt, name))
        if event.call_id in self._finished_calls:
            raise InvalidInput(f"call_id: {event.call_id!r} finished before")
        self._finished_calls.add(event.call_id)
        if event.child is not None:
            self.spent.setdefault(proposal.agent, Spent()).tokens += event.child.tokens
        self.workspace = event.workspace

    def _requested_outside(self, event: EgressRequested) -> None:
        proposal = self._proposal(event.call_digest)
        same("call_id", event.call_id, proposal.call_id)
        if event.call_id in self._finished_calls:
            raise InvalidInput(f"call_id: {event.call_id!r} finished before this request of it")
        self._egress.setdefault(event.call_digest, []).append(event.request)

    def _grant_made(self, event: GrantMade) -> None:
        claims = GrantClaims.read(self.sources.api, event.token, now=event.time)
        proposal = self._proposal(claims.call)
        for name, said, stated in (
            ("grant", event.grant, claims.jti),
            ("request_id", event.request_id, claims.request),
            ("by", event.by, claims.sub),
            ("agent", event.agent, claims.agent),
            ("tool", event.tool, claims.tool),
            ("agent", claims.agent, proposal.agent),
            ("tool", claims.tool, proposal.tool),
        ):
            same(name, said, stated)
        argument_conditions(claims.when)
        check_grant(claims, self.votes.of(event.request_id))

    def _grant_used(self, event: GrantUsed) -> None:
        claims = GrantClaims.read(self.sources.api, event.token, now=event.time)
        same("grant", event.grant, claims.jti)
        proposal = self._proposal(event.call_digest)
        same("call_id", event.call_id, proposal.call_id)
        decision = self.decisions.get(event.call_digest)
        if decision is None or decision.verdict != "ask" or not 1 <= event.number <= claims.uses:
            raise InvalidInput("grant: nobody was asked about this call, or the grant has no such use")
        bundle = self.sources.bundle(decision.bundle)
        access = self.question(proposal, event.time, bundle)
        if why := lets_run(claims, self.call_of(proposal), access, decision, bundle, event.time):
            raise InvalidInput(f"grant: it does not let this call run: {why}")
        self.granted[event.call_digest] = Granted(claims, event.number)

    def _controlled(self, event: RunPaused | RunResumed | RunCancelled) -> None:
        if isinstance(event, RunCancelled) and event.by == "temporal" and not event.token:
            self.controls.cancelled = True  # proves nobody, and only ever stops
            return
        claims = ControlClaims.read(self.sources.api, event.token, now=event.time)
        same("by", event.by, claims.sub)
        same("verb", _VERBS[event.kind], claims.verb)
        if isinstance(event, RunCancelled):
            same("reason", event.reason, claims.reason)
        self.controls.check(claims, run=self.run, tenant=self.requester().tenant)
        self.controls.take(claims)

    def _signalled(self, event: SignalReceived) -> None:
        claims = SignalClaims.read(self.sources.api, event.token, now=event.time)
        for name, said, found in (
            ("by", event.by, claims.sub),
            ("name", event.name, claims.name),
            ("value", event.value, claims.value),
        ):
            same(name, said, found)
        names = self.reach().signals
        self.signals.check(claims, run=self.run, tenant=self.requester().tenant, names=names)
        check_fits(claims.name, names[claims.name], parse(self.sources.blobs.get(claims.value)))
        self.signals.take(claims)

    def _erased(self, event: RunErased) -> None:
        if not self.ended:
            raise InvalidInput("the run has not ended")
        check_erasure(event, self.sources.api, self.requester().tenant)

    def _proposal(self, call_digest: str) -> CallProposed:
        if call_digest not in self.proposals:
            raise InvalidInput(f"call_digest: no such call was proposed ({call_digest})")
        return self.proposals[call_digest]


def recorded_sources(ledger: Ledger, blobs: BlobStore, keys: Path) -> Sources:
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
