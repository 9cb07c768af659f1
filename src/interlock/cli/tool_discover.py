"""`interlock tool discover`: what an MCP server offers, shown for review and pinned when a person accepts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.session import bundle_of, settings

if TYPE_CHECKING:
    from pathlib import Path

    from interlock.definitions.declared import Lock


def discover(
    server: Annotated[str, typer.Argument(metavar="SERVER", help="The server: tools/SERVER.yaml.")],
    accept: Annotated[bool, typer.Option("--accept", help="Pin what it offers now: you have reviewed it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start an MCP server in a sandbox, show the tools it offers, and pin them once they are reviewed.

    What is pinned is in tools/SERVER.lock.json. A tool whose definition is another one later does not run. Exit 1:
    what it offers is not what was reviewed.
    """
    from interlock.project import lock_path, take_snapshot
    from interlock.run.discovery import ask, changes, kept_lock, server_of

    own = settings()
    snapshot = take_snapshot(own.root)
    definition = server_of(snapshot, server)
    with say.working(f"asking {server}", quiet=as_json):
        found = ask(own, bundle_of(own), server, definition)
    before = kept_lock(snapshot, server)
    different = changes(before, found)
    if different and accept:
        _write(own.root / lock_path(server), found.written())
    state = "same" if not different else "accepted" if accept else "changed" if before else "new"
    if as_json:
        say.document({"server": found.server, "state": state, "diff": different, **found.model_dump(mode="json")})
    else:
        _tell(server, found, different, state)
    if different and not accept:
        raise typer.Exit(1)


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.new")
    part.write_bytes(data)
    part.replace(path)


def _tell(name: str, found: Lock, different: list[str], state: str) -> None:
    say.line(f"{found.server or name}, protocol {found.protocol}, {len(found.tools)} tool(s)")
    for line in different:
        say.line(line)
    if state == "same":
        say.line("it offers what was reviewed")
    elif state == "accepted":
        say.line(f"pinned in tools/{name}.lock.json")
    else:
        say.note(f"not reviewed; read it, then: interlock tool discover {name} --accept", style="")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(discover)
