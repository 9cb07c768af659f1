"""How checks are told: each fact in one line, and what mends it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import typer

from interlock.cli import say

if TYPE_CHECKING:
    from interlock.sandbox import Check

FAILED: Final = 1
UNREACHABLE: Final = 3


def report(checks: Iterable[Check], *, as_json: bool, unreachable: frozenset[str] = frozenset()) -> None:
    """Print checks as they come in; exit 1 if one failed, 3 if a part in `unreachable` does not answer."""
    seen = []
    for check in checks:
        seen.append(check)
        if not as_json:
            _tell(check)
    failed = [check for check in seen if not check.ok]
    if as_json:
        say.document({"ok": not failed, "checks": [check.model_dump(mode="json") for check in seen]})
    else:
        say.line(f"{len(seen) - len(failed)} ok, {len(failed)} failed", style="bold")
    if failed:
        raise typer.Exit(UNREACHABLE if any(check.name in unreachable for check in failed) else FAILED)


def _tell(check: Check) -> None:
    word, style = ("ok  ", "green") if check.ok else ("FAIL", "bold red")
    say.line(f"{word}  {check.name}: {check.observed}", style=style)
    if not check.ok and check.fix:
        say.line(f"      mend it: {check.fix}")
