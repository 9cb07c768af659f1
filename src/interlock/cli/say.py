"""What commands print: tables and colour on a terminal, plain lines otherwise, one JSON document on request.

Whatever is printed may come from an agent, so it passes through `visible`, and no markup is ever interpreted.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def on_terminal(stream: IO[str] | None = None) -> bool:
    """Whether people read this stream directly."""
    return (stream or sys.stdout).isatty()


def document(value: Any) -> None:
    """Print one JSON document. ASCII only, so that no terminal obeys what is in it."""
    sys.stdout.write(json.dumps(value, indent=1, default=_plain) + "\n")
    sys.stdout.flush()


def record(value: Any) -> None:
    """Print one JSON document on one line: for commands that go on until they are stopped."""
    sys.stdout.write(json.dumps(value, default=_plain) + "\n")
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return str(value)


def _visible(text: str) -> str:
    from interlock.approval.visible import visible

    return visible(text)


def line(text: str = "", *, style: str = "") -> None:
    """Print text to standard output; `style` counts on a terminal only."""
    _print(sys.stdout, _visible(text), style)


def safe_line(text: str, *, style: str = "") -> None:
    """Print text that was made visible already: making it so twice would mark the marks."""
    _print(sys.stdout, text, style)


def note(text: str, *, style: str = "dim") -> None:
    """Print text to standard error: progress, hints, errors."""
    _print(sys.stderr, _visible(text), style)


def _print(stream: IO[str], text: str, style: str) -> None:
    if style and on_terminal(stream):
        console(stream).print(text, style=style, markup=False, highlight=False, soft_wrap=True)
    else:
        stream.write(f"{text}\n")
        stream.flush()


def console(stream: IO[str] | None = None) -> Console:
    """Rich's console; imported only where a terminal needs it."""
    from rich.console import Console

    return Console(file=stream or sys.stdout, markup=False, highlight=False, emoji=False)


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows; nothing is folded or cut."""
    from interlock.approval.visible import visible_line

    cells = [[visible_line(cell) for cell in row] for row in rows]
    if on_terminal():
        _rich_table(headers, cells)
        return
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    for row in [list(headers), *cells]:
        sys.stdout.write("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() + "\n")
    sys.stdout.flush()


def _rich_table(headers: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """A table whose cells are plain text, whatever is in them. One that is too wide wraps as lines do: cells that
    fold can neither be read nor copied."""
    from rich.box import SIMPLE_HEAD
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        made.add_column(header, no_wrap=True)
    for row in cells:
        made.add_row(*map(Text, row))
    screen = console()
    whole = Measurement.get(screen, screen.options.update(max_width=100_000), made).maximum
    screen.width = max(screen.width, whole)
    screen.print(made)


@contextmanager
def working(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Show on a terminal that something is under way."""
    if quiet or not on_terminal(sys.stderr):
        yield
        return
    with console(sys.stderr).status(what):
        yield


def left(seconds: float) -> str:
    """A span of time in words: `3 h 20 min`."""
    if seconds <= 0:
        return "none"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
