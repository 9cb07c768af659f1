"""`interlock replay`: does the record of a run hold?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interlock.cli import say
from interlock.cli.options import AsJson, Run
from interlock.cli.session import opened, settings
from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from interlock.run.graph_worker import Content
    from interlock.run.replay import Difference, Verdict


def replay(
    run: Run,
    ledger_url: Annotated[str, typer.Option(help="Another ledger than the project's.")] = "",
    blobs_url: Annotated[str, typer.Option(help="Another blob store than the project's.")] = "",
    history: Annotated[
        Path | None, typer.Option(help="A history that `interlock run history` wrote, instead of Temporal's.")
    ] = None,
    tree: Annotated[bool, typer.Option("--tree", help="Also the runs to which it handed work on.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compute a run's record again: history, chain, blobs, decisions, approvals, receipts.

    Exit 0: verified. Exit 1: something differs; the first event that does is named first.
    """
    own = settings(ledger_url=ledger_url, blobs_url=blobs_url)
    if tree and history:
        raise InvalidInput("--history is of one run: give it without --tree")
    text = _read(history) if history else None
    with say.working("replaying", quiet=as_json):
        verdicts = asyncio.run(_replayed(own, run, text, tree=tree))
    if as_json:
        first, *others = map(_as_json, verdicts)
        say.document({**first, "below": others} if tree else first)
    else:
        for verdict in verdicts:
            _tell(verdict)
    if not all(verdict.verified for verdict in verdicts):
        raise typer.Exit(1)


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"--history: {str(file)!r} cannot be read: {error}") from error


async def _replayed(own: Any, run: str, exported: str | None, *, tree: bool) -> list[Verdict]:
    from interlock.cli.resolve import run_of
    from interlock.run.graph_worker import Content
    from interlock.run.replay_hand_offs import below

    content = cache(lambda: Content.load(own.root))  # not before there is a history to replay
    with opened(own) as (ledger, _):
        run = run_of(ledger, run)
        runs = [run, *(below(ledger, run) if tree else ())]
    return [await _replayed_one(own, one, exported, content) for one in runs]


async def _replayed_one(own: Any, run: str, exported: str | None, content: Callable[[], Content]) -> Verdict:
    from temporalio.client import WorkflowHistory

    from interlock.run.connection import connect
    from interlock.run.histories import fetch_history
    from interlock.run.replay import replay

    with opened(own) as (ledger, blobs):
        history: WorkflowHistory | None = None
        if ledger.erasure(run) is not None:
            pass  # nobody can read its history
        elif exported is None:
            history = await fetch_history(await connect(own), run)
        else:
            try:
                history = WorkflowHistory.from_json(run, exported)
            except Exception as error:  # whatever the file holds, it is not a history
                raise InvalidInput(
                    f"--history: not a history: {error}"[:500], next_step=f"interlock run history {run} --out FILE"
                ) from error
        return await replay(run, own, ledger, blobs, history=history, content=content())


def _tell(verdict: Verdict) -> None:
    if verdict.erased:
        say.line(f"the content of run {verdict.run} was {verdict.erased}", style="yellow")
        say.line(
            "its history and its decisions cannot be computed again; the chain and what was signed can be checked"
        )
    if verdict.verified:
        so_far = " so far (it has not ended)" if verdict.open else ""
        say.line(f"verified: run {verdict.run}{so_far}", style="bold green")
        say.line(
            f"{verdict.events} events recomputed; {verdict.decisions} decisions made again, "
            f"{verdict.approvals} approvals and {verdict.receipts} receipts checked"
        )
        if verdict.history_from:
            say.line(f"Temporal has no executions of it before event {verdict.history_from} any more")
        return
    say.line(f"NOT verified: run {verdict.run}", style="bold red")
    if verdict.first is None:
        say.line("the ledger has no events of it")
        return
    say.line(f"first difference: {_difference(verdict.first)}", style="red")
    for other in verdict.differences:
        if other is not verdict.first:
            say.line(f"also: {_difference(other)}")


def _difference(found: Difference) -> str:
    where = f"event {found.seq} ({found.kind})" if found.seq >= 0 else found.kind
    field = f", field {found.field}" if found.field else ""
    return f"{where}{field}: {found.message} [{found.check}]"


def _as_json(verdict: Verdict) -> dict[str, Any]:
    from dataclasses import asdict

    first = asdict(verdict.first) if verdict.first else None
    facts = asdict(verdict)
    return {**facts, "verified": verdict.verified, "first": first}


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(replay)
