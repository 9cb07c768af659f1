"""`interlock accounts token`: how a person's programs act for them through the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interlock.cli import say
from interlock.cli.accounts import opened
from interlock.cli.options import AsJson, AsUser, group
from interlock.cli.session import bundle_of, settings

if TYPE_CHECKING:
    from interlock.accounts import Token

app = group("Let programs act for a person.")
_HEADERS = ("token", "name", "scopes", "expires", "last used", "state")
Id = Annotated[str, typer.Argument(metavar="TOKEN", help="The token's id, as `list` shows it.")]


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="NOUN:ACTION", help="What it may do, like runs:read. May be repeated."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="How long it holds.")] = 30,
    as_user: AsUser = "",
    as_json: AsJson = False,
) -> None:
    """Make a token. It does what its scopes name, as far as its person may, and is shown this once."""
    from interlock.cli.resolve import person_of
    from interlock.run.people import scopes_of

    own = settings()
    person = person_of(bundle_of(own), own.tenant, as_user)
    scopes = scopes_of(scope or ())
    with opened(own) as accounts:
        token, secret = accounts.tokens.make(
            person, own.tenant, name=name, scopes=scopes, now=datetime.now(UTC), life=timedelta(days=days)
        )
    if as_json:
        say.document({**_told(token), "secret": secret})
        return
    say.line(secret)
    say.note(f"token {token.token} of {person}, until {token.expires_at:%Y-%m-%d}; it is not shown again")


@app.command("list")
def list_(as_user: AsUser = "", as_json: AsJson = False) -> None:
    """List a person's tokens, those that hold no more too."""
    from interlock.cli.resolve import person_of

    own = settings()
    person = person_of(bundle_of(own), own.tenant, as_user)
    with opened(own) as accounts:
        found = accounts.tokens.of(person, own.tenant)
    if as_json:
        say.document({"tokens": [_told(token) for token in found]})
    elif found:
        say.table(_HEADERS, [_row(token) for token in found])
    else:
        say.line(f"{person} has no tokens")


@app.command()
def revoke(token: Id, as_user: AsUser = "", as_json: AsJson = False) -> None:
    """Revoke a person's token; from now on it lets nobody in."""
    from interlock.cli.resolve import person_of

    own = settings()
    person = person_of(bundle_of(own), own.tenant, as_user)
    with opened(own) as accounts:
        ended = accounts.tokens.revoke(token, person, own.tenant, now=datetime.now(UTC))
    if as_json:
        say.document(_told(ended))
    else:
        say.line(f"token {ended.token} of {person} is revoked")


def _told(token: Token) -> dict[str, Any]:
    return {
        "id": token.token,
        "person": token.person,
        "name": token.name,
        "scopes": sorted(token.scopes),
        "made_at": token.made_at,
        "expires_at": token.expires_at,
        "used_at": token.used_at,
        "revoked_at": token.revoked_at,
    }


def _row(token: Token) -> tuple[str, ...]:
    state = "holds" if token.holds(datetime.now(UTC)) else "revoked" if token.revoked_at else "expired"
    used = f"{token.used_at:%Y-%m-%d %H:%M}Z" if token.used_at else "never"
    return token.token, token.name, " ".join(sorted(token.scopes)), f"{token.expires_at:%Y-%m-%d}", used, state
