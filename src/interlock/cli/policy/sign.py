"""`interlock policy sign`: release the policy as its files are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson, AsUser
from interlock.cli.session import settings
from interlock.errors import InvalidInput


def sign(
    as_user: AsUser = "",
    serial: Annotated[
        int,
        typer.Option(
            help="Number of this release, larger than every one before; else one more than the last signed."
        ),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Sign the policy's files with the policy's key, into permissions/policy.signature.

    Workers that demand a signature take up no other files, and none with a smaller number.
    """
    from pydantic import ValidationError

    from interlock.policy import load_bundle
    from interlock.policy.signature import next_serial, sign_bundle, write_statement
    from interlock.signing import load_signer

    own = settings()
    if not as_user:
        raise InvalidInput("--as: say who signs", next_step="interlock policy sign --as user:NAME")
    folder = own.root / "permissions"
    bundle = load_bundle(folder)
    signer = load_signer(own.keys_folder, "policy", make="interlock keys create --role policy")
    number = serial or next_serial(folder, signer)
    try:
        statement = sign_bundle(bundle.digest, signer, serial=number, user=as_user, time=datetime.now(UTC))
    except ValidationError as error:
        wrong = ", ".join("--as" if "signer" in e["loc"] else "--serial" for e in error.errors())
        raise InvalidInput(f"{wrong}: does not fit", next_step="--as user:NAME, --serial 1 or larger") from error
    path = write_statement(folder, statement)
    if as_json:
        say.document({"bundle": bundle.digest, "serial": number, "signer": as_user, "path": str(path)})
        return
    say.line(f"signed {bundle.digest}, {len(bundle.rules)} rules, as release {number} by {as_user}")
    say.line(f"wrote {path}")
