"""`interlock run artifacts`, `artifact`, `output`, `export` and `history`: what a run left."""

from __future__ import annotations

import asyncio
import base64
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interlock.cli import say
from interlock.cli.choices import among
from interlock.cli.options import AsJson, Run
from interlock.cli.session import opened, settings
from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from interlock.audit import Ledger
    from interlock.events import CallFinished
    from interlock.types.blobs import Blobs, BlobStore

Out = Annotated[Path | None, typer.Option(metavar="FILE", help="Write to this new file instead.")]
Call = Annotated[str, typer.Argument(metavar="CALL", help="A call's id, or its end: `c4`.")]


def artifacts(run: Run, as_json: AsJson = False) -> None:
    """List the artifacts of a run's calls."""
    with opened(settings()) as (ledger, _):
        found = [
            {"call_id": event.call_id, **artifact.model_dump(mode="json")}
            for event in _finished(ledger, run)
            for artifact in event.artifacts
        ]
    if as_json:
        say.document({"artifacts": found})
    elif found:
        headers = ("name", "size", "media_type", "call_id", "digest")
        say.table(headers, [[str(row[name]) for name in headers] for row in found])
    else:
        say.line("no artifacts")


def artifact(
    run: Run,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The artifact's name.")],
    out: Out = None,
    call: Annotated[str, typer.Option(help="Of this call; else of the last one that left it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write an artifact's bytes to standard output, or to a file."""
    with opened(settings()) as (ledger, blobs):
        kept = {
            artifact.name: (event.call_id, artifact)
            for event in _finished(ledger, run)
            if not call or event.call_id == call or event.call_id.endswith(f":{call}")
            for artifact in event.artifacts
        }
        call_id, found = kept[among(name, kept, "NAME")]
        data = _content(ledger, blobs, run).get(found.digest)
    facts = {"call_id": call_id, **found.model_dump(mode="json")}
    _give(data, out, facts, as_json=as_json)


def output(run: Run, call: Call, out: Out = None, as_json: AsJson = False) -> None:
    """Print what the model read of a call's end."""
    from interlock.events import CallFinished, CallRefused

    with opened(settings()) as (ledger, blobs):
        events = ledger.events(_run(ledger, run))
        ends = {e.call_id.rpartition(":")[2]: e for e in events if isinstance(e, CallFinished | CallRefused)}
        end = ends[among(call.rpartition(":")[2], ends, "CALL")]
        if isinstance(end, CallRefused):
            data, status = f"Not run. {end.detail}".encode(), f"refused by {end.by}"
        else:
            data, status = _content(ledger, blobs, run).get(end.output) if end.output else b"", end.status
    _give(data, out, {"call_id": end.call_id, "status": status}, as_json=as_json)


def export(
    run: Run,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that does not exist yet.")],
    call: Annotated[str, typer.Option(help="The files after this call; else the newest.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write a run's files into a new folder."""
    from interlock.run.files import export_workspace

    with opened(settings()) as (ledger, blobs):
        run = _run(ledger, run)
        digest = ledger.run(run).workspace
        if call:
            after = {event.call_id.rpartition(":")[2]: event.workspace for event in _finished(ledger, run)}
            digest = after[among(call.rpartition(":")[2], after, "--call")]
        written = export_workspace(digest, _content(ledger, blobs, run), folder)
    if as_json:
        say.document({"run": run, "workspace": digest, "folder": str(folder), "files": written})
    else:
        say.line(f"wrote {len(written)} file(s) into {folder}")


def history(run: Run, out: Out = None, as_json: AsJson = False) -> None:
    """Write a run's Temporal history as JSON, so that it can be replayed without a server."""
    from interlock.cli.run_wait import known
    from interlock.run.connection import connect
    from interlock.run.histories import fetch_history

    own = settings()
    run = known(own, run)

    async def fetch() -> str:
        return (await fetch_history(await connect(own), run)).to_json()

    text = asyncio.run(fetch())
    if out is not None:
        _write(out, text.encode())
        facts = {"run": run, "out": str(out), "bytes": len(text.encode())}
        say.document(facts) if as_json else say.line(f"wrote {out}")
    else:
        sys.stdout.write(f"{text}\n")


def _run(ledger: Ledger, run: str) -> str:
    from interlock.cli.resolve import run_of

    return run_of(ledger, run)


def _content(ledger: Ledger, blobs: BlobStore, run: str) -> Blobs:
    """What the run read and wrote; of an erased one, an error that says by whom and why."""
    from interlock.run.erasure import content_of

    return content_of(ledger, blobs, _run(ledger, run))


def _finished(ledger: Ledger, run: str) -> list[CallFinished]:
    from interlock.events import CallFinished

    return [event for event in ledger.events(_run(ledger, run)) if isinstance(event, CallFinished)]


def _give(data: bytes, out: Path | None, facts: dict[str, Any], *, as_json: bool) -> None:
    """Bytes to where they are wanted. A terminal gets text only, made visible: the bytes come from a sandbox."""
    if out is not None:
        _write(out, data)
        say.document({**facts, "out": str(out)}) if as_json else say.line(f"wrote {len(data)} bytes to {out}")
    elif as_json:
        say.document({**facts, **_as_json(data)})
    elif not say.on_terminal():
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        try:
            say.line(data.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{len(data)} bytes that are no text", next_step="use --out FILE") from error


def _as_json(data: bytes) -> dict[str, str]:
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def _write(path: Path, data: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(data)
    except OSError as error:
        raise InvalidInput(
            f"--out: {str(path)!r} cannot be written: {error.strerror}", next_step="name a file that does not exist"
        ) from error


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (artifacts, artifact, output, export, history):
        app.command()(command)
