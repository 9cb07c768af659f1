"""`interlock run list` and `show`: what the ledger says of runs."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interlock.cli import say
from interlock.cli.options import AsJson, Run, group
from interlock.cli.session import opened, settings
from interlock.errors import InvalidInput, LedgerUnavailable

if TYPE_CHECKING:
    from interlock.audit import RunRow
    from interlock.settings import Settings

app = group("Start, follow and control runs.")
_HEADERS = ("run", "status", "workflow", "requester", "started", "events", "waits for")


@app.command("list")
def list_(
    status: Annotated[
        str, typer.Option(help="Only these: running, paused, waiting, completed, failed or cancelled.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    before: Annotated[str, typer.Option(help="The cursor that the page before ended with.")] = "",
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    from typing import get_args

    from interlock.audit import RunStatus
    from interlock.cli.choices import among

    wanted: Any = among(status, get_args(RunStatus), "--status") if status else None
    with opened(settings()) as (ledger, _):
        rows = ledger.runs(limit=limit, before=before, status=wanted)
        parents = [origin.run if (origin := ledger.origin(row.run)) else "" for row in rows]
    following = rows[-1].cursor if len(rows) == limit else ""
    if as_json:
        listed = [{**asdict(row), "parent": parent} for row, parent in zip(rows, parents, strict=True)]
        say.document({"runs": listed, "before": following})
        return
    if not rows:
        say.line("no runs")
        return
    say.table(_HEADERS, [_row(row, parent) for row, parent in zip(rows, parents, strict=True)])
    if following:
        say.note(f"more: interlock run list --before {following!r}")


def _row(row: RunRow, parent: str) -> tuple[str, ...]:
    started = row.started_at.strftime("%Y-%m-%d %H:%M:%SZ")
    waits = f"{row.waiting} approval(s)" if row.waiting else ""
    whom = f"{row.requester} (by {parent})" if parent else row.requester
    return (row.run, row.status, row.workflow, whom, started, str(row.count), waits)


@app.command()
def show(
    run: Run,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Whole digests, arguments and texts.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a run's timeline: each event in one line, with what it means."""
    from interlock.cli.resolve import LAST, run_of
    from interlock.run.erasure import content_of

    own = settings()
    try:
        with opened(own) as (ledger, blobs):
            run = run_of(ledger, run)
            row, events = ledger.run(run), ledger.events(run)
            held_up = [] if row.ended else asyncio.run(_held_up(own, run))
            origin, children = ledger.origin(run), [one.child for one in ledger.hand_offs(run)]
            if as_json:
                listed = [event.model_dump(mode="json") for event in events]
                tree = {"parent": origin.run if origin else "", "children": children}
                say.document({**asdict(row), **tree, "held_up": held_up, "events": listed})
                return
            _show(row, events, content_of(ledger, blobs, run), verbose=verbose)
            if children:
                say.note(f"handed work on to {', '.join(children)}")
            for reason in held_up:
                say.note(f"is held up: {reason}", style="bold yellow")
    except (InvalidInput, LedgerUnavailable):
        # Its first events are committed with its first effect; until then only Temporal knows it.
        if run == LAST or not asyncio.run(_only_started(own, run)):
            raise
        if as_json:
            held_up = asyncio.run(_held_up(own, run))
            say.document({"run": run, "status": "running", "held_up": held_up, "events": []})
        else:
            say.line(f"run {run} has just started; the ledger has no events of it yet")
            for reason in asyncio.run(_held_up(own, run)):
                say.note(f"is held up: {reason}", style="bold yellow")


def _show(row: RunRow, events: Any, blobs: Any, *, verbose: bool) -> None:
    from interlock.run.timeline import Timeline

    say.line(f"run {row.run}: {row.workflow} for {row.requester}, {row.status}", style="bold")
    if row.detail:
        say.line(f"detail: {row.detail}")
    lines = Timeline(blobs, verbose=verbose)
    for event in events:
        say.safe_line(lines.line(event), style=lines.style(event))
    if row.waiting:
        say.note(f"waits for {row.waiting} decision(s): interlock approval list")


async def _held_up(own: Settings, run: str) -> list[str]:
    """Why an open run does not go on, as far as Temporal can be asked."""
    from interlock.errors import InterlockError
    from interlock.run.connection import connect
    from interlock.run.obstacles import obstacles

    try:
        return await obstacles(await connect(own), run)
    except InterlockError:
        return []


async def _only_started(own: Settings, run: str) -> bool:
    """Whether Temporal has a run of this id that has not ended."""
    from temporalio.client import WorkflowExecutionStatus
    from temporalio.service import RPCError

    from interlock.errors import Unreachable
    from interlock.run.connection import connect

    try:
        found = await (await connect(own)).get_workflow_handle(run).describe()
    except (RPCError, Unreachable, ValueError):
        return False
    return found.status == WorkflowExecutionStatus.RUNNING
