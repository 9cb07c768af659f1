"""`interlock keys`: the signing keys of the roles, and the keys that wrap the data keys of runs."""

from __future__ import annotations

from typing import Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson, group
from interlock.cli.session import settings

app = group("Make and rotate keys.")


@app.callback()
def keys() -> None:
    """Make and rotate keys."""


@app.command()
def create(
    role: Annotated[
        list[str] | None, typer.Option(help="Only this role: api, executor, ledger or policy. May be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the key pairs that the keys folder lacks, and the first data key. Existing keys are never touched.

    The policy's is made only when it is named: once its public key is there, an unsigned policy is refused.
    """
    from interlock.audit import make_data_keys
    from interlock.cli.choices import among
    from interlock.signing import ALL_ROLES, ROLES, create_keys

    own = settings()
    folder = own.keys_folder
    wanted = tuple(r for r in ALL_ROLES if r in [among(name, ALL_ROLES, "--role") for name in role or ROLES])
    written = [*create_keys(folder, wanted), *([] if role else make_data_keys(own))]
    if as_json:
        say.document({"folder": str(folder), "written": [str(path) for path in written]})
        return
    for path in written:
        say.line(f"wrote {path}")
    if not written:
        say.line(f"{folder} has them already; nothing was written")


@app.command()
def rotate(
    wrap_only: Annotated[
        bool, typer.Option("--wrap-only", help="Make no new version: wrap by the one that is current already.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Wrap the data key of every run by a new version of the wrapping key. Content is not touched, runs go on.

    With another provider than `file`, its own rotation makes the new version; this wraps by it.
    """
    from contextlib import closing

    from interlock.audit import open_blobs
    from interlock.audit import rotate as rotated
    from interlock.encryption.file_keys import add_version

    own = settings()
    with closing(open_blobs(own)) as blobs:
        if own.data_key_provider == "file" and not wrap_only:
            blobs.keys.provider.current()  # without a first version there is nothing to rotate
            add_version(own.wrapping_keys_folder)
        with say.working("wrapping data keys", quiet=as_json):
            done = rotated(blobs.keys)
    if as_json:
        say.document({"key_id": done.key_id, "wrapped": done.wrapped, "failed": done.failed})
    else:
        say.line(f"wrapping key {done.key_id}: wrapped {done.wrapped} data key(s)")
        for run, reason in done.failed.items():
            say.line(f"run {run}: {reason}", style="red")
    if done.failed:
        raise typer.Exit(1)
