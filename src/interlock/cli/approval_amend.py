"""`interlock approval withdraw` and `reassign`: what people say of an open request besides deciding it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli import say
from interlock.cli.approval import looked_up
from interlock.cli.options import AsJson, AsUser, Request
from interlock.cli.session import acting, bundle_of, settings

if TYPE_CHECKING:
    from interlock.audit import ApprovalRow
    from interlock.run.contracts import VoteOutput

Reason = Annotated[str, typer.Option(help="Why; it is on record.")]


def withdraw(request: Request, reason: Reason, as_user: AsUser = "", as_json: AsJson = False) -> None:
    """Withdraw a request of your own run: its call does not run, and the agent is told so."""
    row, done = asyncio.run(_amended(request, as_user, reason))
    if as_json:
        say.document({**done.model_dump(mode="json"), "run": row.run})
    else:
        say.line(f"{row.request_id}: withdrawn")


def reassign(
    request: Request,
    to: Annotated[str, typer.Option(metavar="PERSON", help="user:NAME, whom the route lets stand in.")],
    reason: Reason,
    as_user: AsUser = "",
    as_json: AsJson = False,
) -> None:
    """Hand your decision on to another person; from then on they decide, and you do not."""
    row, done = asyncio.run(_amended(request, as_user, reason, to=to))
    if as_json:
        say.document({**done.model_dump(mode="json"), "run": row.run, "to": to})
    else:
        say.line(f"{row.request_id}: {to} decides")


async def _amended(request: str, user: str, reason: str, *, to: str = "") -> tuple[ApprovalRow, VoteOutput]:
    from interlock.cli.resolve import person_of

    own = settings()
    bundle = bundle_of(own)
    person = person_of(bundle, own.tenant, user)
    target = person_of(bundle, own.tenant, to) if to else ""
    row, _ = await asyncio.to_thread(looked_up, own, request)
    async with acting(own) as client:
        if target:
            return row, await client.reassign(row, by=person, to=target, reason=reason)
        return row, await client.withdraw(row, by=person, reason=reason)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(withdraw)
    app.command()(reassign)
