"""`interlock accounts`: how people sign in. Who there is, permissions/ says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson, AsUser, group
from interlock.cli.session import bundle_of, settings

if TYPE_CHECKING:
    from interlock.accounts import Accounts
    from interlock.settings import Settings

app = group("Let people sign in, and their programs.")


@app.command()
def link(
    as_user: AsUser = "",
    minutes: Annotated[int, typer.Option(min=1, max=1440, help="How long it holds.")] = 15,
    as_json: AsJson = False,
) -> None:
    """Make a link that signs a person in once. Whoever opens it is that person, so send it to nobody else."""
    from interlock.accounts.links import address
    from interlock.cli.resolve import person_of

    own = settings()
    person = person_of(bundle_of(own), own.tenant, as_user)
    now = datetime.now(UTC)
    with opened(own) as accounts:
        code = accounts.links.make(person, own.tenant, now=now, life=timedelta(minutes=minutes))
    where = address(own.effective_public_url, code)
    if as_json:
        expires = (now + timedelta(minutes=minutes)).isoformat(timespec="seconds")
        say.document({"link": where, "person": person, "expires": expires})
    else:
        say.line(where)


@app.command("sign-out")
def sign_out(as_user: AsUser = "", as_json: AsJson = False) -> None:
    """Sign a person out of every browser. Their tokens stay: `interlock accounts token revoke`."""
    from interlock.cli.resolve import person_of

    own = settings()
    person = person_of(bundle_of(own), own.tenant, as_user)
    with opened(own) as accounts:
        ended = accounts.sessions.end_all(person, own.tenant)
    if as_json:
        say.document({"person": person, "ended": ended})
    else:
        say.line(f"{person} was signed out of {ended} browser(s)")


@contextmanager
def opened(own: Settings) -> Iterator[Accounts]:
    """The accounts.

    Raises:
        LedgerUnavailable: their database cannot be used.
    """
    from interlock.accounts import Accounts

    with closing(Accounts.of(own)) as found:
        yield found
