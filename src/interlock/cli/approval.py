"""`interlock approval`: what waits for people, and what they say."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interlock.cli import say
from interlock.cli.options import AsJson, AsUser, Request, group
from interlock.cli.session import acting, bundle_of, opened, settings
from interlock.errors import Conflict

if TYPE_CHECKING:
    from interlock.approval.card import Card
    from interlock.audit import ApprovalRow
    from interlock.run.contracts import VoteOutput
    from interlock.settings import Settings
    from interlock.types.approval import ApprovalVerdict

app = group("See what waits for a decision, and decide.")
_HEADERS = ("request", "state", "agent", "tool", "route", "approvers", "left", "decided by")
Message = Annotated[str, typer.Option(help="What the agent reads.")]
Seat = Annotated[
    str, typer.Option("--for", metavar="APPROVER", help="Decide for this approver, who handed the decision to you.")
]
Digest = Annotated[
    str,
    typer.Option(metavar="DIGEST", help="Decide only if the call has this digest: the one that you were shown."),
]


@app.command("list")
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Decided and expired ones too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the requests that wait for a decision, oldest first."""
    with opened(settings()) as (ledger, _):
        rows = ledger.approvals(state=None if all_ else "pending")
    if as_json:
        say.document({"requests": [asdict(row) for row in rows]})
    elif rows:
        say.table(_HEADERS, [_row(row) for row in rows])
    else:
        say.line("no requests" if all_ else "nothing waits for a decision")


def _row(row: ApprovalRow) -> tuple[str, ...]:
    left = say.left((row.expires_at - datetime.now(UTC)).total_seconds()) if row.state == "pending" else ""
    people = f"{row.quorum} of {', '.join(row.approvers)}"
    return (row.request_id, row.state, row.agent, row.tool, row.route, people, left, row.decided_by)


@app.command()
def show(request: Request, as_json: AsJson = False) -> None:
    """Show exactly what an approval would let happen: arguments, changes, rule, deadline."""
    row, card = looked_up(settings(), request)
    if as_json:
        say.document({**card.model_dump(mode="json"), "state": row.state, "votes": [asdict(v) for v in row.votes]})
        return
    from interlock.cli.approval_card import print_card

    print_card(card)
    for vote in row.votes:
        message = f": {vote.message}" if vote.message else ""
        say.line(f"{vote.verdict} by {vote.approver} at {vote.at.isoformat(timespec='seconds')}{message}")
    if row.state == "pending":
        say.note(f"decide: interlock approval approve {row.request_id} --as user:NAME")
    else:
        say.line(f"state: {row.state}", style="bold")


@app.command()
def approve(
    request: Request,
    as_user: AsUser = "",
    digest: Digest = "",
    seat: Seat = "",
    emergency: Annotated[
        str,
        typer.Option(metavar="REASON", help="Break the glass: it runs on your word alone, and others review it."),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Approve a call exactly as it is shown."""
    decide(
        request,
        "approve",
        as_user,
        message=emergency,
        digest=digest,
        seat=seat,
        emergency=bool(emergency),
        as_json=as_json,
    )


@app.command()
def reject(
    request: Request,
    message: Message,
    as_user: AsUser = "",
    digest: Digest = "",
    seat: Seat = "",
    as_json: AsJson = False,
) -> None:
    """Reject a call or a question; the agent reads the message."""
    decide(request, "reject", as_user, message=message, digest=digest, seat=seat, as_json=as_json)


@app.command()
def respond(
    request: Request,
    message: Message,
    as_user: AsUser = "",
    digest: Digest = "",
    seat: Seat = "",
    as_json: AsJson = False,
) -> None:
    """Answer a question; say of a call of unknown outcome that it was done; or find an emergency justified."""
    decide(request, "respond", as_user, message=message, digest=digest, seat=seat, as_json=as_json)


def decide(
    request: str,
    verdict: ApprovalVerdict,
    user: str,
    *,
    message: str = "",
    digest: str = "",
    seat: str = "",
    emergency: bool = False,
    as_json: bool,
) -> None:
    """Take a decision and say what it did."""
    own = settings()
    how: dict[str, Any] = {"message": message, "digest": digest, "seat": seat, "emergency": emergency}
    row, voted = asyncio.run(vote(own, request, verdict, user, **how))
    if as_json:
        say.document({**voted.model_dump(mode="json"), "verdict": verdict, "run": row.run})
        return
    more = "" if voted.closes else "; others decide too, it stays open"
    say.line(f"{row.request_id}: {verdict} taken, state {voted.state}{more}")


async def vote(
    own: Settings,
    request: str,
    verdict: ApprovalVerdict,
    user: str,
    *,
    message: str = "",
    digest: str = "",
    edited: dict[str, Any] | None = None,
    seat: str = "",
    emergency: bool = False,
) -> tuple[ApprovalRow, VoteOutput]:
    """Look the request up, verify what it is about, and send the decision.

    Raises:
        Conflict: it was decided, by whom and when; or it is about another call than the given digest.
        IntegrityError: the record of its run does not hold.
    """
    from interlock.cli.resolve import person_of

    approver = person_of(bundle_of(own), own.tenant, user)
    row, card = await asyncio.to_thread(looked_up, own, request)
    if row.state != "pending":
        raise Conflict(_closed(row))
    if digest and digest != card.call_digest:
        raise Conflict(f"{row.request_id} is about call {card.call_digest}, not {digest}", next_step="look again")
    async with acting(own) as client:
        taken = await client.decide(
            row, verdict, approver=approver, message=message, edited=edited, seat=seat, emergency=emergency
        )
    return row, taken


def looked_up(own: Settings, request: str) -> tuple[ApprovalRow, Card]:
    from interlock.cli.resolve import request_of
    from interlock.run.inbox import request_card

    with opened(own) as (ledger, blobs):
        row = request_of(ledger, request)
        return row, request_card(row, own, ledger, blobs, now=datetime.now(UTC))


def _closed(row: ApprovalRow) -> str:
    if row.decided_at is None:
        return f"{row.request_id} is {row.state}"
    last = row.votes[-1]
    when = row.decided_at.isoformat(timespec="seconds")
    return f"{row.request_id} was decided: {last.verdict} by {row.decided_by} at {when}"
