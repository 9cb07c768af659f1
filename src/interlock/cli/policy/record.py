"""Which part of the record a command reads: runs, and since when."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from interlock.audit import Ledger

OfRuns = Annotated[
    list[str] | None,
    typer.Option("--run", "--runs", metavar="RUN[,RUN]", help="Only these runs; may be given more than once."),
]
Since = Annotated[
    str, typer.Option(metavar="7d|DATE", help="Only what was decided in the last 12h or 7d, or since a day.")
]

_HOURS = {"h": 1, "d": 24}


def runs_of(ledger: Ledger, names: list[str]) -> list[str] | None:
    """The runs that were meant; None for all.

    Raises:
        InvalidInput: one is unknown.
    """
    from interlock.cli.resolve import run_of

    given = [name for text in names for name in text.split(",") if name]
    return [run_of(ledger, name) for name in given] if given else None


def moment(text: str, now: datetime | None = None) -> datetime | None:
    """`7d`, `12h`, `2026-03-01` or a whole ISO time as a time; None where nothing was given.

    Raises:
        InvalidInput: it is none of these.
    """
    if not text:
        return None
    if ago := re.fullmatch(r"([0-9]{1,5})([hd])", text, re.ASCII):
        return (now or datetime.now(UTC)) - timedelta(hours=int(ago[1]) * _HOURS[ago[2]])
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"--since: {text!r} is no time", next_step="12h, 7d, or a day: 2026-03-01") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
