"""`interlock approval grant`, `grants`, `revoke`: calls like one that was shown run without asking for a while."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interlock.cli import say
from interlock.cli.approval import looked_up
from interlock.cli.options import AsJson, AsUser, Request
from interlock.cli.session import acting, bundle_of, opened, settings
from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from interlock.audit import GrantRow
    from interlock.run.contracts import GrantOutput
    from interlock.run.revoke_workflow import RevokeOutput

Reason = Annotated[str, typer.Option(help="Why; it is on record.")]
_HEADERS = ("grant", "by", "agent", "tool", "for", "used", "until", "state")


def grant(
    request: Request,
    reason: Reason,
    lasts: Annotated[str, typer.Option("--lasts", metavar="SPAN", help="30m, 8h, 2d")] = "1h",
    uses: Annotated[int, typer.Option(min=1, help="How often such calls may run by it.")] = 1,
    when: Annotated[
        str,
        typer.Option(metavar="JSON", help="Conditions on arguments, as rules have them; left out: exactly these."),
    ] = "",
    as_user: AsUser = "",
    as_json: AsJson = False,
) -> None:
    """Let calls like the one on this card run without asking. The request itself still waits for its decision."""
    given = asyncio.run(_grant(request, as_user, reason, _span(lasts), uses, _conditions(when)))
    if as_json:
        say.document(given.model_dump(mode="json"))
    else:
        say.line(
            f"grant {given.grant}: {uses} use(s), for {lasts}; end it: interlock approval revoke {given.grant}"
        )


def grants(
    all_: Annotated[bool, typer.Option("--all", help="Also those that are used up, over or revoked.")] = False,
    as_json: AsJson = False,
) -> None:
    """List standing grants, oldest first."""
    own = settings()
    with opened(own) as (ledger, _):
        rows = [_shown(row) for row in ledger.grants(own.tenant)]
    rows = [row for row in rows if all_ or row["state"] == "holds"]
    if as_json:
        say.document({"grants": rows})
    elif rows:
        say.table(_HEADERS, [_line(row) for row in rows])
    else:
        say.line("no grants" if all_ else "no grant holds")


def revoke(
    grant_id: Annotated[str, typer.Argument(metavar="GRANT", help="The grant's id.")],
    reason: Reason,
    as_user: AsUser = "",
    as_json: AsJson = False,
) -> None:
    """End a standing grant: nothing runs by it any more."""
    done = asyncio.run(_revoke(grant_id, as_user, reason))
    if as_json:
        say.document(done.model_dump(mode="json"))
    else:
        say.line(f"grant {done.grant} is revoked; {done.used} call(s) ran by it")


async def _grant(
    request: str, user: str, reason: str, lasts: timedelta, uses: int, when: tuple[dict[str, Any], ...]
) -> GrantOutput:
    from interlock.cli.resolve import person_of

    own = settings()
    person = person_of(bundle_of(own), own.tenant, user)
    row, _ = await asyncio.to_thread(looked_up, own, request)
    async with acting(own) as client:
        return await client.grant(row, by=person, lasts=lasts, uses=uses, reason=reason, when=when)


async def _revoke(grant_id: str, user: str, reason: str) -> RevokeOutput:
    from interlock.cli.resolve import person_of

    own = settings()
    person = person_of(bundle_of(own), own.tenant, user)
    async with acting(own) as client:
        return await client.revoke(grant_id, by=person, reason=reason)


def _span(text: str) -> timedelta:
    from interlock.policy.durations import duration, seconds

    try:
        return timedelta(seconds=seconds(duration(text)))
    except ValueError as error:
        raise InvalidInput(f"--lasts: {error}") from error


def _conditions(text: str) -> tuple[dict[str, Any], ...]:
    from interlock.digest import parse

    if not text:
        return ()
    found = parse(text)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InvalidInput('--when: a JSON list of conditions, such as [{"argument": "amount", "le": 100}]')
    return tuple(found)


def _shown(row: GrantRow) -> dict[str, Any]:
    """A grant with what its statement says; the executor verifies that, and believes nothing shown here."""
    from interlock.approval.grants import GrantClaims
    from interlock.run.standing_grants import StandingGrant

    claims = GrantClaims.peek(row.token)
    one = StandingGrant(row, claims)
    state = "holds"
    if row.revoked_by:
        state = f"revoked by {row.revoked_by}"
    elif one.ends_at <= datetime.now(UTC):
        state = "over"
    elif one.used_up:
        state = "used up"
    what = {name: getattr(claims, name) for name in ("requester", "arguments", "when", "uses", "reason", "route")}
    known = {name: value for name, value in asdict(row).items() if name != "token"}
    return {**known, **what, "until": one.ends_at, "state": state}


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    used = f"{row['used']} of {row['uses']}"
    until = row["until"].strftime("%Y-%m-%d %H:%MZ")
    return (row["grant"], row["by"], row["agent"], row["tool"], row["requester"], used, until, row["state"])


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(grant)
    app.command()(grants)
    app.command()(revoke)
