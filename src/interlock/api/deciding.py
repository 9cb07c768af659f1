"""A decision before it is sent: what it means for the request, and what a passkey signed of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from weakref import WeakValueDictionary

from interlock.api.caller import Caller
from interlock.api.cards import looked
from interlock.api.decisions import Decide, Meant, meant
from interlock.api.relying_party import signature_of
from interlock.api.services import Services
from interlock.approval.passkeys import challenge_of, check_signature
from interlock.audit import ApprovalRow
from interlock.digest import digest_of
from interlock.errors import Conflict
from interlock.run.arguments import normalise
from interlock.run.contracts import VoteOutput
from interlock.signing import load_verifier
from interlock.types.signature import DecisionSignature

_turns: Final[WeakValueDictionary[str, asyncio.Lock]] = WeakValueDictionary()


def resolved(held: Services, row: ApprovalRow, body: Decide) -> Meant:
    """The decision in its one form; edited arguments fit the tool as the run pins it.

    Raises:
        Conflict: it is about another call than the request.
        InvalidInput: it does not fit the request or the tool.
    """
    if body.call_digest != row.call_digest:
        raise Conflict(
            f"{row.request_id} is about another call than {body.call_digest}", next_step="read its card again"
        )
    decision = meant(body.decision, kind=row.kind, tool=row.tool)
    if decision.edited is None:
        return decision
    fitting = normalise(looked(held, row).tool.schema_.parameters, decision.edited)
    return replace(decision, edited=fitting)


def challenge(row: ApprovalRow, decision: Meant) -> bytes:
    """What a passkey signs for it."""
    edited = digest_of(decision.edited) if decision.edited is not None else ""
    return challenge_of(
        run=row.run, request=row.request_id, call=row.call_digest, verdict=decision.verdict, edited=edited
    )


def verified(
    held: Services, who: Caller, row: ApprovalRow, decision: Meant, credential: dict[str, Any]
) -> DecisionSignature:
    """What the caller's passkey signed.

    Raises:
        TokenRejected: it is not this person's, did not sign this decision, or there may be a copy of it.
    """
    kept = held.accounts.passkeys
    found, count = signature_of(credential, kept.of(who.person, who.tenant))
    api = load_verifier(held.settings.keys_folder, "api")
    own = check_signature(found, api, person=who.person, tenant=who.tenant, challenge=challenge(row, decision))
    kept.used(own, count, now=datetime.now(UTC))
    return found


async def send(
    held: Services,
    who: Caller,
    row: ApprovalRow,
    decision: Meant,
    *,
    credential: dict[str, Any] | None = None,
    seat: str = "",
    deputy: str = "",
    emergency: bool = False,
) -> VoteOutput:
    """Have a decision taken, and keep what a passkey signed of it. The caller holds the request's `turn`.

    Raises:
        TokenRejected: see `verified`. Besides, what `RunClient.decide` raises.
    """
    signature = None
    if credential is not None:
        signature = await asyncio.to_thread(verified, held, who, row, decision, credential)
    taken = await held.runs_in(who.tenant).decide(
        row,
        decision.verdict,
        approver=who.person,
        message=decision.message,
        edited=decision.edited,
        seat=seat,
        deputy=deputy,
        emergency=emergency,
        signature=signature,
    )
    if signature is not None:
        await asyncio.to_thread(keep, held, who, row, decision, signature)
    return taken


def turn(request_id: str) -> asyncio.Lock:
    """Held while a decision on a request is sent: they go to its workflow one after the other, from pages and
    programs alike, since Temporal takes ten at a time."""
    return _turns.setdefault(request_id, asyncio.Lock())


def keep(held: Services, who: Caller, row: ApprovalRow, decision: Meant, signature: DecisionSignature) -> None:
    """Keep what a passkey signed of a decision that was taken."""
    held.accounts.passkeys.keep_signature(
        signature.model_dump_json(),
        request=row.request_id,
        person=who.person,
        tenant=who.tenant,
        verdict=decision.verdict,
        call=row.call_digest,
        now=datetime.now(UTC),
    )
