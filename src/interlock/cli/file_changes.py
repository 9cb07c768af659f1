"""Changed files, as a person reads them in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.cli import say

if TYPE_CHECKING:
    from interlock.approval.changes import FileChange


def tell_changes(changes: tuple[FileChange, ...]) -> None:
    """Each file with its diff, or why there is none."""
    for change in changes:
        counts = f" +{change.added} -{change.removed}" if change.text else ""
        note = f" ({change.note})" if change.note else ""
        say.safe_line("")
        say.safe_line(f"{change.kind} {change.path}{counts}{note}", style="bold")
        for text in change.text.split("\n") if change.text else ():
            say.safe_line(text, style={"+": "green", "-": "red", "@": "cyan"}.get(text[:1], ""))
