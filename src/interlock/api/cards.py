"""A request as the API shows it: its card, proven from the run's record, and the state that decisions rely on."""

from __future__ import annotations

from datetime import UTC, datetime

from interlock.api.approval_shapes import CardShape, VoteShape
from interlock.api.caller import Caller
from interlock.api.etag import tag_of
from interlock.api.found import approval_row
from interlock.api.services import Services
from interlock.approval.card import Card
from interlock.approval.judge import ALLOWED
from interlock.audit import ApprovalRow
from interlock.errors import Conflict, Erased, IntegrityError
from interlock.run.inbox import Looked, looked_into


async def pending(held: Services, who: Caller, request_id: str) -> ApprovalRow:
    """A request of the caller's tenant that waits for decisions.

    Raises:
        NotFound: there is none of this id. Conflict: it was decided, by whom and when.
    """
    row = await approval_row(held, who, request_id)
    if row.state != "pending":
        raise Conflict(_closed(row))
    return row


def looked(held: Services, row: ApprovalRow) -> Looked:
    """The request, proven from the run's record.

    Raises:
        Erased: the run's content was erased, so that nothing can be shown.
        IntegrityError: the record does not hold.
    """
    try:
        return looked_into(row, held.settings, held.ledger, held.blobs, now=datetime.now(UTC))
    except IntegrityError as error:
        if isinstance(error.__cause__, Erased):
            raise error.__cause__ from error
        raise


def seats_of(held: Services, who: Caller, row: ApprovalRow) -> list[str]:
    """The approvers of a request whose deputy the caller is."""
    away = held.accounts.deputies.of_stand_in(who.person, who.tenant, now=datetime.now(UTC))
    return sorted({one.person for one in away if one.person in row.approvers})


def tag(row: ApprovalRow, seats: list[str]) -> str:
    """The ETag of a card: another one whenever somebody decided, the stage changed or time moved its deadline."""
    return tag_of(
        row.request_id, row.call_digest, row.state, row.stage, row.approvers, row.expires_at, len(row.votes), *seats
    )


def shaped(card: Card, row: ApprovalRow, seats: list[str]) -> CardShape:
    """The card as an answer."""
    changes = [change.model_dump(mode="json") for change in card.changes] if card.changes is not None else None
    return CardShape(
        **card.model_dump(mode="json", include=set(CardShape.model_fields) - {"arguments", "changes"}),
        arguments=card.exact_arguments,
        changes=changes,
        state=row.state,
        seats=seats,
        votes=[VoteShape.model_validate(vote) for vote in row.votes],
        decisions=sorted(ALLOWED[card.kind]) if row.state == "pending" else [],
    )


def _closed(row: ApprovalRow) -> str:
    if row.decided_at is None:
        return f"{row.request_id} is {row.state}"
    when = row.decided_at.isoformat(timespec="seconds")
    verdict = row.votes[-1].verdict if row.votes else row.state
    return f"{row.request_id} was decided: {verdict} by {row.decided_by} at {when}"
