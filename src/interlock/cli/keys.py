"""`interlock keys`: the signing keys of the roles."""

from __future__ import annotations

from typing import Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson, group
from interlock.cli.session import settings

app = group("Make the signing keys.")


@app.callback()
def keys() -> None:
    """Make the signing keys."""


@app.command()
def create(
    role: Annotated[
        list[str] | None, typer.Option(help="Only this role: api, executor, ledger or policy. May be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the key pairs that the keys folder lacks. Existing keys are never touched.

    The policy's is made only when it is named: once its public key is there, an unsigned policy is refused.
    """
    from interlock.cli.choices import among
    from interlock.signing import ALL_ROLES, ROLES, create_keys

    folder = settings().keys_folder
    wanted = tuple(r for r in ALL_ROLES if r in [among(name, ALL_ROLES, "--role") for name in role or ROLES])
    written = create_keys(folder, wanted)
    if as_json:
        say.document({"folder": str(folder), "written": [str(path) for path in written]})
        return
    for path in written:
        say.line(f"wrote {path}")
    if not written:
        say.line(f"{folder} has them already; nothing was written")
