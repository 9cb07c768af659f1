"""`interlock flight-check`: may this code and this policy take over the open runs?"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.policy.check import folder_of
from interlock.cli.session import opened, settings
from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from temporalio.client import WorkflowHistory

    from interlock.run.flight_check import FlightCheck
    from interlock.settings import Settings


def flight_check(
    policy: Annotated[
        Path | None, typer.Option(help="The policy that is to come into force; else permissions/ of the project.")
    ] = None,
    stored: Annotated[
        Path | None, typer.Option(help="Folder of histories (`run history --out`) that must replay, too.")
    ] = None,
    expires_within: Annotated[
        int, typer.Option(min=0, metavar="DAYS", help="Name runs whose requester's word ends within so many days.")
    ] = 7,
    as_json: AsJson = False,
) -> None:
    """Replay every open run through this checkout, and decide again what waits for people.

    Exit 0: nothing was found. Exit 1: something would go wrong; each is listed.
    """
    own = settings()
    histories = _histories(stored) if stored else []
    with say.working("checking open runs", quiet=as_json):
        found = asyncio.run(_checked(own, policy, histories, timedelta(days=expires_within)))
    if as_json:
        say.document({"ok": not found.findings, **asdict(found)})
    else:
        _tell(found)
    if found.findings:
        raise typer.Exit(1)


def _histories(folder: Path) -> list[WorkflowHistory]:
    from temporalio.client import WorkflowHistory

    found, files = [], sorted(folder.rglob("*.json"))
    if not files:
        raise InvalidInput(f"--stored: {str(folder)!r} holds no history (*.json)")
    for file in files:
        try:
            history = WorkflowHistory.from_json(file.stem, file.read_text("utf-8"))
            # A run's payloads are bound to its id, which newer servers write into the first event.
            run = history.events[0].workflow_execution_started_event_attributes.workflow_id
            found.append(WorkflowHistory(run or file.stem, history.events))
        except Exception as error:  # whatever the file holds, it is not a history
            raise InvalidInput(f"--stored: {file.name} is not a history: {error}"[:500]) from error
    return found


async def _checked(
    own: Settings, policy: Path | None, histories: list[WorkflowHistory], horizon: timedelta
) -> FlightCheck:
    from interlock.cli.policy.bundles import bundle_named
    from interlock.run.connection import connect
    from interlock.run.flight_check import Checker, open_runs
    from interlock.run.graph_worker import Content
    from interlock.run.histories import executions
    from interlock.run.replay import make_replayer

    bundle = bundle_named(own, str(folder_of(own, policy)))
    client = await connect(own)
    with opened(own) as (ledger, blobs):
        replayer = make_replayer(own, blobs, Content.load(own.root))
        checker = Checker(own, ledger, blobs, replayer, bundle, datetime.now(UTC), horizon)
        async for run, execution in open_runs(client, own.graph_queue):
            await checker.open_run(client, run, execution)
        for history in histories:
            for part in executions(history):
                await checker.stored(part)
        return checker.found


def _tell(found: FlightCheck) -> None:
    for one in found.findings:
        say.line(f"{one.kind}: {one.about}: {one.message}", style="red")
    say.line(
        f"{found.open_runs} open runs and {found.stored} stored histories replayed, {found.requests} open requests "
        f"and {found.approvals} unused approvals decided again: {len(found.findings)} findings",
        style="bold red" if found.findings else "bold green",
    )


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("flight-check")(flight_check)
