"""`interlock accounts deputy`: who decides for whom while they are away."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interlock.cli import say
from interlock.cli.accounts import opened
from interlock.cli.options import AsJson, AsUser, group
from interlock.cli.session import bundle_of, settings

if TYPE_CHECKING:
    from interlock.accounts import Deputy

app = group("Have somebody decide for a person who is away.")
_HEADERS = ("deputy", "for", "is", "from", "until", "state")
_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M"]


@app.command()
def name(
    to: Annotated[str, typer.Argument(metavar="user:NAME", help="Who decides in their place.")],
    until: Annotated[datetime, typer.Option(formats=_FORMATS, help="When it ends, in UTC.")],
    since: Annotated[
        datetime | None, typer.Option(formats=_FORMATS, help="When it begins, in UTC; else now.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; it is in the statement.")] = "",
    as_user: AsUser = "",
    as_json: AsJson = False,
) -> None:
    """Name somebody who decides for you for some time, on routes that let them stand in."""
    from interlock.cli.resolve import person_of
    from interlock.run.deputising import name_deputy
    from interlock.signing import load_signer

    own = settings()
    bundle = bundle_of(own)
    with opened(own) as accounts:
        made = name_deputy(
            accounts,
            bundle,
            load_signer(own.keys_folder, "api"),
            person=person_of(bundle, own.tenant, as_user),
            tenant=own.tenant,
            to=to,
            begins=since.replace(tzinfo=UTC) if since else None,
            ends=until.replace(tzinfo=UTC),
            reason=reason,
        )
    if as_json:
        say.document(_told(made))
    else:
        say.line(f"{made.stand_in} decides for {made.person} until {made.ends_at:%Y-%m-%d %H:%M}Z ({made.deputy})")


@app.command("list")
def list_(as_user: AsUser = "", as_json: AsJson = False) -> None:
    """List who stands in for a person, and for whom they stand in."""
    from interlock.cli.resolve import person_of

    own = settings()
    person = person_of(bundle_of(own), own.tenant, as_user)
    with opened(own) as accounts:
        found = accounts.deputies.about(person, own.tenant)
    if as_json:
        say.document({"deputies": [_told(one) for one in found]})
    elif found:
        say.table(_HEADERS, [_row(one) for one in found])
    else:
        say.line(f"nobody stands in for {person}, nor they for anybody")


@app.command()
def revoke(
    deputy: Annotated[str, typer.Argument(metavar="DEPUTY", help="The id, as `list` shows it.")],
    as_user: AsUser = "",
    as_json: AsJson = False,
) -> None:
    """End it: from now on that person decides for you no more."""
    from interlock.cli.resolve import person_of

    own = settings()
    person = person_of(bundle_of(own), own.tenant, as_user)
    with opened(own) as accounts:
        ended = accounts.deputies.revoke(deputy, person, own.tenant, now=datetime.now(UTC))
    if as_json:
        say.document(_told(ended))
    else:
        say.line(f"{ended.stand_in} decides for {ended.person} no more")


def _told(one: Deputy) -> dict[str, Any]:
    return {
        "id": one.deputy,
        "person": one.person,
        "to": one.stand_in,
        "begins_at": one.begins_at,
        "ends_at": one.ends_at,
        "reason": one.reason,
        "revoked_at": one.revoked_at,
    }


def _row(one: Deputy) -> tuple[str, ...]:
    now = datetime.now(UTC)
    over = "over" if now >= one.ends_at else "to come"
    state = "holds" if one.holds(now) else "revoked" if one.revoked_at else over
    times = (f"{one.begins_at:%Y-%m-%d %H:%M}Z", f"{one.ends_at:%Y-%m-%d %H:%M}Z")
    return (one.deputy, one.person, one.stand_in, *times, state)
