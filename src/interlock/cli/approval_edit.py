"""`interlock approval edit`: run this other call instead. It is a new call, and it is decided anew."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interlock.cli import say
from interlock.cli.approval import Digest, looked_up, vote
from interlock.cli.choices import json_object
from interlock.cli.options import AsJson, AsUser, Request
from interlock.cli.session import opened, settings
from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from interlock.audit import ApprovalRow, Ledger
    from interlock.settings import Settings

LOOK_FOR_S = 20.0
"""How long to look for what became of the edited call."""


def edit(
    request: Request,
    arguments: Annotated[
        str,
        typer.Option(metavar="JSON|@FILE|-", help="The new arguments, whole; else $EDITOR opens on a terminal."),
    ] = "",
    as_user: AsUser = "",
    digest: Digest = "",
    as_json: AsJson = False,
) -> None:
    """Put another call in the place of this one. The policy decides it anew, and may ask again."""
    own = settings()
    row, card = looked_up(own, request)
    if card.kind != "call":
        raise InvalidInput(f"{row.request_id} is a {card.kind} request; only calls can be edited")
    new = json_object(arguments, "--arguments") if arguments else _edited(card.exact_arguments)
    if new == card.exact_arguments:
        raise InvalidInput("--arguments: nothing was changed", next_step="interlock approval approve, or reject")
    _check(own, row, card.agent, card.tool, new)
    row, taken = asyncio.run(
        vote(own, row.request_id, "edit", as_user, digest=digest or card.call_digest, edited=new)
    )
    with say.working("the edited call is decided", quiet=as_json):
        became = _became(own, row)
    if as_json:
        say.document({**taken.model_dump(mode="json"), "verdict": "edit", "run": row.run, "edited_call": became})
        return
    say.line(f"{row.request_id}: edit taken. The edited call is a new call and is decided anew.")
    say.line(_in_words(became, row.run))


def _edited(arguments: dict[str, Any]) -> dict[str, Any]:
    if not (say.on_terminal() and sys.stdin.isatty()):
        raise InvalidInput("--arguments: needed where there is no terminal", next_step="--arguments JSON or @FILE")
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    # Escaped to ASCII: an editor must not obey, or hide, what an agent wrote.
    with tempfile.TemporaryDirectory(prefix="interlock-") as folder:
        file = Path(folder) / "arguments.json"
        file.write_text(json.dumps(arguments, indent=1))
        try:
            subprocess.run([*shlex.split(editor), str(file)], check=True)
        except (OSError, subprocess.CalledProcessError, ValueError) as error:
            raise InvalidInput(f"editor {editor!r} failed: {error}; nothing was sent") from error
        return json_object(f"@{file}", "the edited arguments")


def _check(own: Settings, row: ApprovalRow, agent: str, tool: str, arguments: dict[str, Any]) -> None:
    """Refuse arguments that do not fit the tool, before they replace anything."""
    from interlock.run.arguments import normalise
    from interlock.run.catalogue import Scope, load_manifest

    with opened(own) as (ledger, blobs):
        manifest = load_manifest(blobs, ledger.run(row.run).manifest)
    name = agent.removeprefix("agent:")
    normalise(Scope(manifest, (name,)).tool(name, tool).schema_.parameters, arguments)


def _became(own: Settings, row: ApprovalRow) -> dict[str, Any]:
    """What the run made of the edited call, as far as the ledger tells within a while."""
    found: dict[str, Any] = {"call_id": "", "verdict": "", "rule": "", "request_id": ""}
    end = time.monotonic() + LOOK_FOR_S
    with opened(own) as (ledger, _):
        while time.monotonic() < end:
            found = _look(ledger, row)
            if found["request_id"] or found["verdict"] in ("allow", "deny") or ledger.run(row.run).ended:
                break
            time.sleep(0.1)
    return found


def _look(ledger: Ledger, row: ApprovalRow) -> dict[str, Any]:
    from interlock.events import ApprovalRequested, CallDecided, CallProposed, CallRefused

    call_id = verdict = rule = request_id = ""
    for event in ledger.events(row.run):
        match event:
            case CallProposed() if event.edited_from == row.call_id:
                call_id = event.call_id
            case CallDecided() if event.call_id == call_id:
                verdict, rule = event.verdict, event.rule
            case CallRefused() if event.call_id == call_id:
                verdict = "deny"
            case ApprovalRequested() if event.call_id == call_id:
                request_id = event.request_id
            case _:
                pass
    return {"call_id": call_id, "verdict": verdict, "rule": rule, "request_id": request_id}


def _in_words(became: dict[str, Any], run: str) -> str:
    call, rule = became["call_id"], f" (rule {became['rule']})" if became["rule"] else ""
    if became["request_id"]:
        return f"call {call}: ask{rule}; it waits as {became['request_id']}"
    if became["verdict"]:
        return f"call {call}: {became['verdict']}{rule}"
    return f"nothing is on record of it yet: interlock run show {run}"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(edit)
