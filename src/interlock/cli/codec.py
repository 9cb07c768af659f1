"""`interlock codec`: payloads shown in Temporal's own UI and command line, to those who may see them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson, AsUser, group
from interlock.cli.session import bundle_of, settings

app = group("Show payloads in Temporal's own UI and command line.")


@app.callback()
def codec() -> None:
    """Show payloads in Temporal's own UI and command line."""


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on. Beyond this machine, put TLS before it.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: a free one.")] = 8234,
    as_json: AsJson = False,
) -> None:
    """Serve Temporal's codec protocol until SIGTERM or Ctrl-C: opens payloads for bearers of a token."""
    from interlock.run.payloads.serving import serve as serve_codec

    own = settings()

    def ready(address: str) -> None:
        if as_json:
            say.record({"codec": address, "origin": own.codec_origin})
        else:
            say.line(f"codec server at {address}, for Temporal's UI at {own.codec_origin}")

    serve_codec(own, ready, host=host, port=port)


@app.command()
def token(
    run: Annotated[
        str, typer.Argument(metavar="[RUN]", help="The only run to be shown; left out: every run.")
    ] = "",
    as_user: AsUser = "",
    minutes: Annotated[int, typer.Option(min=1, max=720, help="How long it holds.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Make a token with which Temporal's UI and command line show payloads to a person. It gives no other right."""
    from interlock.approval import lifetime
    from interlock.cli.resolve import person_of
    from interlock.run.payloads.access import ReadClaims
    from interlock.signing import load_signer

    own = settings()
    reader = person_of(bundle_of(own), own.tenant, as_user)
    life = lifetime(datetime.now(UTC), timedelta(minutes=minutes))
    claims = ReadClaims(tenant=own.tenant, sub=reader, run=_run(run), **life)
    made = claims.signed(load_signer(own.keys_folder, "api"))
    if as_json:
        say.document({"token": made, "reader": reader, "run": claims.run, "expires": claims.exp})
    else:
        say.line(made)


def _run(text: str) -> str:
    if not text:
        return ""
    from interlock.cli.run_wait import known

    return known(settings(), text)
