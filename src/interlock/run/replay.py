"""`interlock replay`: does the record hold?

Five questions about one run, each answered by computing again and never by believing:

1. ledger: is the stored chain whole, and is every blob what its digest says?
2. history: does replaying Temporal's history through this code give the same events?
3. proofs: does every decision, approval, requester and receipt bear out what its event states?
4. calls: do the executor's stored results agree with the receipts?
5. checkpoint: does the ledger's signed head agree?
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from interlock.audit import Ledger, verify_run
from interlock.errors import InterlockError
from interlock.events import CallFinished, CallUnknown, EgressRequested, Event, RunErased
from interlock.graph import Services, configure
from interlock.run.authority import trust
from interlock.run.chain import tap
from interlock.run.erased_record import signatures
from interlock.run.erasure import told
from interlock.run.graph_worker import Content, workflow_runner
from interlock.run.histories import executions, is_whole
from interlock.run.payloads import data_converter
from interlock.run.pinned import pinned, problem, receipted
from interlock.run.proof import RunProof, Sources, recorded_sources
from interlock.run.replay_hand_offs import hand_off_differences
from interlock.settings import Settings
from interlock.signing import Verifier, load_verifier
from interlock.types.blobs import BlobStore

Check = Literal["ledger", "history", "proofs", "calls"]
CHECKS: tuple[Check, ...] = ("ledger", "history", "proofs", "calls")


@dataclass(frozen=True)
class Difference:
    """One thing that does not hold."""

    check: Check
    seq: int
    """The event, or -1."""
    kind: str
    field: str
    message: str


@dataclass
class Verdict:
    """What replay found."""

    run: str
    events: int = 0
    open: bool = False
    """Whether the run has not ended: then the verdict speaks of the events so far."""
    decisions: int = 0
    """How many policy decisions were made again."""
    approvals: int = 0
    receipts: int = 0
    erased: str = ""
    """By whom, when and why the run's content was erased: then neither its history nor its decisions can be
    computed again, and the verdict speaks of the chain, the signatures and the executor's record."""
    history_from: int = 0
    """The first event that Temporal's history still gives: the server drops ended executions after a time."""
    differences: list[Difference] = field(default_factory=list)

    @property
    def verified(self) -> bool:
        """Whether everything holds."""
        return self.events > 0 and not self.differences

    @property
    def first(self) -> Difference | None:
        """The first event that differs."""
        ordered = sorted(self.differences, key=lambda d: (d.seq < 0, d.seq, CHECKS.index(d.check)))
        return ordered[0] if ordered else None


async def replay(
    run: str,
    settings: Settings,
    ledger: Ledger,
    blobs: BlobStore,
    *,
    history: WorkflowHistory | None,
    content: Content,
) -> Verdict:
    """Verify one run against its Temporal history, its ledger and its blobs. An erased run needs no history."""
    verdict = Verdict(run)
    sealer = load_verifier(settings.keys_folder, "ledger")
    recorded = _check_ledger(run, ledger, blobs, sealer, verdict)
    if recorded is None:
        return verdict
    sources = recorded_sources(ledger, blobs, settings.keys_folder)
    if recorded and isinstance(recorded[-1], RunErased):
        _check_erased(sources, recorded, recorded[-1], verdict)
    else:
        assert history is not None, "only an erased run has none"
        await _check_history(run, settings, blobs, history, content, recorded, verdict)
        _check_proofs(run, sources, recorded, verdict)
    _check_calls(run, ledger, recorded, verdict)
    _check_requests(run, ledger, recorded, verdict)
    for event, name, message in hand_off_differences(ledger, recorded):
        verdict.differences.append(Difference("calls", event.seq, event.kind, name, message))
    return verdict


def _check_ledger(
    run: str, ledger: Ledger, blobs: BlobStore, sealer: Verifier, verdict: Verdict
) -> list[Event] | None:
    """The recorded events; None where they cannot even be read."""
    for finding in verify_run(ledger, run, blobs, sealer):
        verdict.differences.append(Difference("ledger", finding.seq, finding.kind, finding.field, finding.message))
    try:
        events = ledger.events(run)
    except InterlockError as error:
        verdict.differences.append(Difference("ledger", -1, "run", "", str(error)))
        return None
    verdict.events = len(events)
    verdict.open = not events or events[-1].kind not in ("run.ended", "run.erased")
    return events


def make_replayer(settings: Settings, blobs: BlobStore, content: Content) -> Replayer:
    """What replays histories through the workflows and graphs of `content`. One at a time: it sets up the process.

    Raises:
        Unreachable: the API's public key is missing.
    """
    trust(load_verifier(settings.keys_folder, "api"))
    configure(Services(blobs=blobs, settings=settings))
    return Replayer(
        workflows=content.workflows,
        plugins=[content.plugin()],
        workflow_runner=workflow_runner(),
        data_converter=data_converter(settings),
        namespace=settings.temporal_namespace,
    )


async def _check_history(
    run: str,
    settings: Settings,
    blobs: BlobStore,
    history: WorkflowHistory,
    content: Content,
    recorded: list[Event],
    verdict: Verdict,
) -> None:
    recomputed: list[Event] = []
    replayer = make_replayer(settings, blobs, content)
    tap(run, recomputed.append)
    failure: BaseException | None = None
    try:
        for part in executions(history):
            failure = (
                await replayer.replay_workflow(part, raise_on_replay_failure=False)
            ).replay_failure or failure
    except Exception as error:  # a history altered into nonsense
        failure = error
    finally:
        tap(run, None)
    if recomputed and not is_whole(history):
        verdict.history_from = recomputed[0].seq
    verdict.differences += _compared(recorded[verdict.history_from :], recomputed, verdict.open)
    if failure is not None:
        message = f"Temporal's history does not replay: {failure}"[:1000]
        verdict.differences.append(Difference("history", -1, "run", "", message))


def _compared(recorded: list[Event], recomputed: list[Event], open_run: bool) -> Iterator[Difference]:
    for stored, computed in zip(recorded, recomputed, strict=False):
        if stored.hash != computed.hash:
            for name, was, now in _fields_that_differ(stored, computed):
                message = f"the ledger says {was!r}, Temporal's history gives {now!r}"
                yield Difference("history", stored.seq, stored.kind, name, message)
            return
    if len(recomputed) < len(recorded):
        missing = recorded[len(recomputed)]
        yield Difference("history", missing.seq, missing.kind, "", "the history gives no such event: it was cut")
    if len(recomputed) > len(recorded) and not open_run:
        extra = recomputed[len(recorded)]
        yield Difference("history", extra.seq, extra.kind, "", "the history gives an event beyond the ledger's end")
    if len(recomputed) > len(recorded) and any(event.kind == "run.ended" for event in recomputed):
        extra = recomputed[len(recorded)]
        yield Difference("ledger", extra.seq, extra.kind, "", "the ledger's tail is missing: the run has ended")


def _fields_that_differ(stored: Event, computed: Event) -> Iterator[tuple[str, str, str]]:
    old, new = stored.model_dump(mode="json"), computed.model_dump(mode="json")
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    # A changed field changes the hash as well; name the cause, unless the links are all there is.
    for name in [n for n in names if n not in ("hash", "prev")] or names:
        yield name, _short(old.get(name)), _short(new.get(name))


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 80 else f"{text[:38]}…{text[-38:]}"


def _check_proofs(run: str, sources: Sources, recorded: list[Event], verdict: Verdict) -> None:
    proof = RunProof(run, sources)
    for event in recorded:
        try:
            proof.feed(event)
        except InterlockError as error:
            verdict.differences.append(Difference("proofs", event.seq, event.kind, "", str(error)))
            return
    kinds = [event.kind for event in recorded]
    verdict.decisions = kinds.count("call.decided")
    verdict.approvals = kinds.count("approval.decided")
    verdict.receipts = kinds.count("call.finished")
    _check_pinned(proof, recorded, verdict)


def _check_erased(sources: Sources, recorded: list[Event], erasure: RunErased, verdict: Verdict) -> None:
    """What is left to check without content: whatever somebody signed."""
    verdict.erased = told(erasure)
    verdict.approvals = sum(event.kind == "approval.decided" for event in recorded)
    verdict.receipts = sum(event.kind == "call.finished" for event in recorded)
    for event, message in signatures(recorded, sources):
        verdict.differences.append(Difference("proofs", event.seq, event.kind, "", message))


def _check_pinned(proof: RunProof, recorded: list[Event], verdict: Verdict) -> None:
    """The blobs that the manifest and the receipts name: a record without them cannot be understood again."""
    if proof.scope is None:
        return
    named = [
        *pinned(proof.scope.manifest, recorded[0]),
        *receipted(recorded, proof.sources.executor, proof.sources.blobs),
    ]
    for event, place, digest in named:
        if message := problem(proof.sources.blobs, digest):
            verdict.differences.append(Difference("ledger", event.seq, event.kind, place, message))


def _check_requests(run: str, ledger: Ledger, recorded: list[Event], verdict: Verdict) -> None:
    """What left sandboxes, as noted before it left, against what the chain says of calls that ended."""
    ended = {event.call_id: event.seq for event in recorded if isinstance(event, CallFinished)}
    told = {
        (event.call_id, event.request.attempt, event.request.number): event.request
        for event in recorded
        if isinstance(event, EgressRequested)
    }
    for call_id, noted in ledger.left_by(run):
        said = told.get((call_id, noted.attempt, noted.number))
        if call_id in ended and (said is None or said.asked != noted.asked):
            message = f"call {call_id!r} asked for {noted.asked}, and the chain does not say so"
            verdict.differences.append(Difference("calls", ended[call_id], "egress.requested", "request", message))


def _check_calls(run: str, ledger: Ledger, recorded: list[Event], verdict: Verdict) -> None:
    """The executor's stored results against the receipts in the chain."""
    finished = {event.call_id: event for event in recorded if isinstance(event, CallFinished)}
    # People settled these without waiting for an executor that was taken for dead.
    settled = {event.call_id for event in recorded if isinstance(event, CallUnknown)}
    for row in ledger.calls(run):
        event = finished.get(row.call_id)
        if event is None:
            if row.finished_at is not None and not verdict.open and row.call_id not in settled:
                message = f"call {row.call_id!r} ran, and the chain does not say so"
                verdict.differences.append(Difference("calls", -1, "call", "call_id", message))
            continue
        for name, was, now in (
            ("call_digest", row.call_digest, event.call_digest),
            ("receipt", row.receipt, event.receipt),
            ("workspace", row.workspace_after, event.workspace),
            ("output", json.loads(row.result or b"{}").get("output", ""), event.output),
        ):
            if was != now:
                message = f"the executor stored {_short(was)!r}, the chain says {_short(now)!r}"
                verdict.differences.append(Difference("calls", event.seq, event.kind, name, message))
