"""`interlock sandbox pool`: what the containers of this machine's executors are doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.session import settings

if TYPE_CHECKING:
    from interlock.run.keeping import ExecutorReport

_MIB = 1024 * 1024
_HEADERS = (
    "image",
    "memory",
    "way out",
    "ready",
    "wanted",
    "bounds",
    "starting",
    "warm",
    "cold",
    "calls/min",
    "refill",
)


def pool(as_json: AsJson = False) -> None:
    """Show each executor's containers: ready, leased, serving; calls that found one ready, and that did not.

    Exit 1 if an executor cannot keep any ready.
    """
    from interlock.reports import read_reports
    from interlock.run.keeping import ExecutorReport, sandboxes_folder

    reports = list(read_reports(sandboxes_folder(settings()), ExecutorReport))
    problems = [text for report in reports for text in _problems(report)]
    if as_json:
        say.document({"executors": [report.model_dump(mode="json") for report in reports], "ok": not problems})
    elif not reports:
        say.line("no executor runs on this machine, or none with containers")
    else:
        for report in reports:
            _tell(report)
    if problems:
        raise typer.Exit(1)


def _problems(report: ExecutorReport) -> list[str]:
    told = [report.problem, report.sandboxes.error, *(one.error for one in report.sandboxes.pools)]
    return [text for text in told if text]


def _tell(report: ExecutorReport) -> None:
    own = report.sandboxes
    idle = f"{own.idle_bytes / _MIB:.0f} MiB idle"
    say.line(
        f"{report.executor}: {own.serving} serving, {own.leased} leased, {idle}, {own.reaped} of dead ones removed"
    )
    rows = [
        (
            one.image.removeprefix("sha256:")[:12] + (f" {one.runtime}" if one.runtime else ""),
            f"{one.memory_mib} MiB",
            "yes" if one.way_out else "no",
            str(one.waiting),
            str(one.target),
            f"{one.warm_min}-{one.warm_max}",
            str(one.starting),
            str(one.warm),
            str(one.cold),
            str(one.calls_per_minute),
            f"{one.refill_ms} ms",
        )
        for one in own.pools
    ]
    say.table(_HEADERS, rows)
    for text in _problems(report):
        say.note(f"problem: {text}")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(pool)
