"""`interlock tool call`: one call of one tool, for people who write tools.

It goes through the same policy and into the same sandbox as a run's calls, and it is recorded nowhere. So it
takes only what needs no record: a call that the policy allows outright, of a tool without external effects.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interlock.cli import say
from interlock.cli.choices import json_object
from interlock.cli.options import AsJson, AsUser
from interlock.cli.session import settings
from interlock.errors import InvalidInput, Refused

if TYPE_CHECKING:
    from interlock.cli.asked import Asked
    from interlock.sandbox import SandboxResult
    from interlock.scratch import ScratchBlobs
    from interlock.settings import Settings
    from interlock.types import Profile, WayOut

_INSTEAD = "start a run instead, or add --capture, which sends nothing"


def call(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The tool.")],
    arguments: Annotated[str, typer.Option(metavar="JSON|@FILE|-", help="Its arguments, an object.")] = "{}",
    agent: Annotated[str, typer.Option(help="The agent as which it is decided.")] = "",
    as_user: AsUser = "",
    workspace: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder whose files the call starts from; it is copied.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the files after the call into this new folder.")
    ] = None,
    capture: Annotated[
        bool, typer.Option("--capture", help="Send nothing: show the requests that would leave the sandbox.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Try a tool in its sandbox, as an agent would call it. For writing tools: it is recorded nowhere.

    The policy decides first. A call that it would ask a person about, or that acts on the outside world, runs here
    only with --capture, which lets nothing out; else start a run. Exit 1: denied, or the tool failed.
    """
    from interlock.cli.asked import ask_about
    from interlock.scratch import ScratchBlobs

    own, blobs = settings(), ScratchBlobs()
    values = json_object(arguments, "--arguments")
    with say.working("compiling the project", quiet=as_json):
        asked = ask_about(own, blobs, tool=name, agent=agent, user=as_user, arguments=values, workflow="agent_run")
    profile, way_out = _permitted(asked, capture=capture)
    if not as_json:
        say.note("a try: this call is decided by the policy and recorded nowhere")
    with say.working(f"running {name}", quiet=as_json):
        result = asyncio.run(_run(own, asked, profile, way_out, blobs, workspace))
    _tell(result, as_json=as_json)
    if out is not None:
        _export(result, blobs, out)
    if result.status != "ok":
        raise typer.Exit(1)


def _permitted(asked: Asked, *, capture: bool) -> tuple[Profile, WayOut | None]:
    """The limits to run under, and what to capture.

    Raises:
        Refused: the policy does not allow the call outright, or it could act on the outside world.
    """
    from interlock.policy import decide
    from interlock.run.obligations import profile_of
    from interlock.run.ways_out import way_out

    decision, schema = decide(asked.bundle, asked.request), asked.entry.schema_
    if decision.verdict == "deny":
        raise Refused(decision.reason, next_step="interlock policy explain --tool … says which rules were near")
    if decision.verdict == "ask" and not capture:
        raise Refused(f"a person must approve this call: {decision.reason}", next_step=_INSTEAD)
    if asked.entry.kind == "output":
        raise Refused(f"tool {schema.name!r} reads outputs of a run, and a try is none", next_step=_INSTEAD)
    profile = profile_of(asked.bundle, schema, decision)
    leaves = way_out(asked.bundle, decision, schema, profile)
    if not capture and (schema.effects == "external" or leaves is not None):
        raise Refused(
            f"tool {schema.name!r} acts on the outside world, and a try leaves no record of that",
            next_step=_INSTEAD,
        )
    return profile, leaves.model_copy(update={"capture": True}) if leaves else None


async def _run(
    own: Settings,
    asked: Asked,
    profile: Profile,
    way_out: WayOut | None,
    blobs: ScratchBlobs,
    folder: Path | None,
) -> SandboxResult:
    from interlock.run.files import import_workspace, load_tree
    from interlock.run.fitting import fitted
    from interlock.sandbox import SandboxCall, run_once

    schema = asked.entry.schema_
    if own.sandbox_driver == "in_process" and schema.effects == "external":
        raise Refused("the in-process driver isolates nothing, so nothing can be captured", next_step=_INSTEAD)
    if folder is not None and schema.workspace == "none":
        raise InvalidInput(f"--workspace: tool {schema.name!r} sees no files")
    tree = load_tree(import_workspace(folder, blobs) if folder is not None else "", blobs)
    sandboxed = SandboxCall(
        call_id=f"{asked.request.run}:c1",
        run=asked.request.run,
        kind=asked.entry.kind,
        tool=schema.name,
        source=blobs.get(asked.entry.source),
        path=asked.entry.path,
        arguments=asked.request.arguments,
        idempotency_key=secrets.token_hex(16),
        workspace=tree,
        workspace_use=schema.workspace,
        profile=profile,
        image=asked.manifest.images[profile.image],
        way_out=way_out,
    )
    result = await run_once(own, sandboxed, blobs)
    # An answer to what was captured and not sent is made up, and need not be what the service's would be.
    return result if way_out is not None and way_out.capture else fitted(asked.entry, result, tree)


def _tell(result: SandboxResult, *, as_json: bool) -> None:
    from interlock.run.rendering import render

    text = render(result)
    if as_json:
        say.document({"status": result.status, "text": text, **_facts(result)})
        return
    say.line(text)
    spent = (result.ended_at - result.started_at).total_seconds()
    say.note(f"{result.status} in {spent:.2f} s")
    for record in result.egress:
        key = f" with credential {record.credential}" if record.credential else ""
        why = f": {record.reason}" if record.reason else ""
        say.note(f"{record.verdict}: {record.asked}, {record.sent} bytes{key}{why}")
    for artifact in result.artifacts:
        say.note(f"artifact {artifact.name}, {artifact.size} bytes")


def _facts(result: SandboxResult) -> dict[str, Any]:
    return {
        "limit": result.limit,
        "artifacts": [artifact.model_dump(mode="json") for artifact in result.artifacts],
        "requests": [record.model_dump(mode="json") for record in result.egress],
        "files": sorted(result.workspace.files),
        "started_at": result.started_at,
        "ended_at": result.ended_at,
    }


def _export(result: SandboxResult, blobs: ScratchBlobs, out: Path) -> None:
    from interlock.digest import canonical
    from interlock.run.files import TREE_MAX_BYTES, export_workspace

    digest = blobs.put(canonical(result.workspace.as_hashed(), max_bytes=TREE_MAX_BYTES))
    written = export_workspace(digest, blobs, out)
    say.note(f"wrote {len(written)} file(s) into {out}")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(call)
