"""One approval request as an approver must see it: from facts that were verified now, never from a read model.

Whoever can write to the ledger's database could show an approver a harmless call. So the run's events are
checked as the executor checks them (chain, signatures, decisions made again), and the card is built from what
they prove. An approval then binds to the digest that the card was computed from.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from interlock.approval import PendingApproval
from interlock.approval.card import Card, build_card
from interlock.audit import ApprovalRow, Ledger
from interlock.definitions import ToolEntry
from interlock.errors import IntegrityError, InterlockError, Unreachable
from interlock.events import Event, check_chain
from interlock.run.proof import RunProof, recorded_sources
from interlock.settings import Settings
from interlock.types.approval import ApprovalRequest
from interlock.types.blobs import BlobStore


class Looked(NamedTuple):
    """A request, and the verified record that it stands in."""

    card: Card
    tool: ToolEntry
    """As the run pins it."""
    proof: RunProof
    events: list[Event]
    """All of the run's so far."""


def request_card(row: ApprovalRow, settings: Settings, ledger: Ledger, blobs: BlobStore, *, now: datetime) -> Card:
    """The card of a request. Raises what `looked_into` raises."""
    return looked_into(row, settings, ledger, blobs, now=now).card


def looked_into(row: ApprovalRow, settings: Settings, ledger: Ledger, blobs: BlobStore, *, now: datetime) -> Looked:
    """The card of a request, with what it was made from.

    Raises:
        IntegrityError: the record of its run does not hold, or the request is not what the record proves.
        Unreachable: a key or a store is missing.
    """
    events = ledger.events(row.run)
    proof = proven(row.run, events, settings, ledger, blobs)
    pending = proof.votes.pending.get(row.request_id)
    request = pending.request if pending else None
    if pending is None or request is None or request.call_digest not in proof.proposals:
        raise IntegrityError(
            f"request {row.request_id!r} is not shown: the events of run {row.run!r} have no such request",
            next_step=f"do not approve it; interlock replay {row.run}",
        )
    _compare(row, pending)
    call = proof.call_of(proof.proposals[request.call_digest])
    tool = proof.reach().tool(call.agent.removeprefix("agent:"), call.tool)
    card = build_card(
        request,
        call,
        tool,
        blobs.of(row.run),
        base=proof.requester().workspace,
        reason=_reason(proof, request),
        now=now,
        pending=pending,
    )
    return Looked(card, tool, proof, events)


def verified(run: str, settings: Settings, ledger: Ledger, blobs: BlobStore) -> RunProof:
    """What the run's events prove, every claim checked.

    Raises:
        IntegrityError: names the first event that does not hold.
        Unreachable: a key or a store is missing.
    """
    return proven(run, ledger.events(run), settings, ledger, blobs)


def proven(run: str, events: list[Event], settings: Settings, ledger: Ledger, blobs: BlobStore) -> RunProof:
    """As `verified`, of events that were read already."""
    proof = RunProof(run, recorded_sources(ledger, blobs, settings.keys_folder))
    try:
        check_chain(events, run=run)
        for event in events:
            proof.feed(event)
    except Unreachable:
        raise
    except InterlockError as error:
        raise IntegrityError(
            f"the record of run {run!r} does not hold: {error.reason}",
            next_step=f"approve nothing of it; interlock replay {run}",
        ) from error
    return proof


def _reason(proof: RunProof, request: ApprovalRequest) -> str:
    """The policy's own words, from the decision that was made again here: those in the event prove nothing."""
    asked = [d for d in proof.decisions.values() if d.verdict == "ask" and d.rule == request.rule]
    own = proof.decisions.get(request.call_digest)
    if own is not None and own in asked and request.kind != "unknown":
        return own.reason
    return asked[-1].reason if asked else f"Rule {request.rule!r} asked; the call was decided again since."


def _compare(row: ApprovalRow, pending: PendingApproval) -> None:
    request = pending.request
    for name, shown, proven in (
        ("call digest", row.call_digest, request.call_digest),
        ("kind", row.kind, request.kind),
        ("subject", row.subject, request.subject),
        ("rule", row.rule, request.rule),
        ("route", row.route, request.route.name),
        ("stage", row.stage, pending.stage.name),
        ("approvers", row.approvers, pending.deciders),
        ("deadline", row.expires_at, pending.deadline),
    ):
        if shown != proven:
            raise IntegrityError(
                f"request {row.request_id!r} is not shown: the inbox says {name} {shown!r}, the run {proven!r}",
                next_step=f"do not approve it; interlock replay {row.run}",
            )
