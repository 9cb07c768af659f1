"""`interlock mcp`: runs and approvals for other agents."""

from __future__ import annotations

import os
from typing import Annotated, Final

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.session import settings
from interlock.errors import InvalidInput

TOKEN: Final = "INTERLOCK_API_TOKEN"  # noqa: S105 - the variable's name


def mcp(
    url: Annotated[
        str, typer.Option(metavar="URL", help="Where `interlock serve` is; left out: as the settings say.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Serve the Model Context Protocol on standard input and output, as the person of INTERLOCK_API_TOKEN."""
    try:
        from interlock.mcp_server.api_client import ApiClient
        from interlock.mcp_server.server import make_server
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("mcp", "mcp_types", "httpx2"):
            raise
        raise InvalidInput(
            "the MCP server needs the extra `mcp`", next_step="pip install 'interlock-runtime[mcp]'"
        ) from error
    # Whatever this process starts or prints has no need of it.
    token = os.environ.pop(TOKEN, "")
    api = ApiClient.opened(url or settings().effective_public_url, token)
    # Standard output is the protocol's own.
    say.note(f"serves MCP for the API at {api.http.base_url}")
    make_server(api).run("stdio")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(mcp)
