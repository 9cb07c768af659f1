"""What differs between two workspaces, for a person to read: every file that differs is named, none is left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import unified_diff
from typing import Final, Literal

from interlock.approval.visible import visible, visible_line
from interlock.types.blobs import Blobs
from interlock.types.closed import Closed
from interlock.types.workspace import FileEntry, Tree

LONGEST_COMPARED: Final = 20_000
"""Lines of both versions together that are matched against each other; beyond it the changed middle is shown as
removed and added, since matching takes time that grows with the product."""
LARGEST_SHOWN: Final = 4 * 1024 * 1024
"""Bytes of a version that is shown as text; a larger one is named with its size and digest."""
CONTEXT: Final = 3

Kind = Literal["added", "removed", "changed"]


class FileChange(Closed):
    """One file that differs."""

    path: str
    """Made visible."""
    kind: Kind
    text: str
    """Unified diff, made visible; empty where the file is binary, too large, or only its mode changed."""
    note: str = ""
    """Why there is no text, with sizes and digests; or the change of its mode."""
    added: int = 0
    """Lines."""
    removed: int = 0


def workspace_changes(before: Tree, after: Tree, blobs: Blobs) -> tuple[FileChange, ...]:
    """Every file that differs, by path. A renamed file is one removed and one added.

    Raises:
        IntegrityError: a version is absent or altered.
    """
    paths = sorted(before.files.keys() | after.files.keys())
    return tuple(
        _change(path, before.files.get(path), after.files.get(path), blobs)
        for path in paths
        if before.files.get(path) != after.files.get(path)
    )


def _change(path: str, old: FileEntry | None, new: FileEntry | None, blobs: Blobs) -> FileChange:
    kind: Kind = "added" if old is None else "removed" if new is None else "changed"
    mode = _mode_change(old, new)
    if old is not None and new is not None and old.digest == new.digest:
        return FileChange(path=visible_line(path), kind=kind, text="", note=mode)
    versions = [_text(entry, blobs) for entry in (old, new)]
    if versions[0] is None or versions[1] is None:
        note = f"not shown as text: {_described(old)} → {_described(new)}"
        return FileChange(path=visible_line(path), kind=kind, text="", note="; ".join(filter(None, (note, mode))))
    lines = list(_diff(_lines(versions[0]), _lines(versions[1])))
    return FileChange(
        path=visible_line(path),
        kind=kind,
        text="\n".join(map(visible, lines)),
        note=mode or ("an empty file" if not lines else ""),
        added=sum(line.startswith("+") for line in lines),
        removed=sum(line.startswith("-") for line in lines),
    )


def _mode_change(old: FileEntry | None, new: FileEntry | None) -> str:
    was, now = old is not None and old.executable, new is not None and new.executable
    if was == now or new is None:
        return ""
    return "becomes executable" if now else "is no longer executable"


def _described(entry: FileEntry | None) -> str:
    return f"{entry.size} bytes {entry.digest}" if entry is not None else "nothing"


def _text(entry: FileEntry | None, blobs: Blobs) -> str | None:
    """The version as text; None if it is binary or too large to be read."""
    if entry is None:
        return ""
    if entry.size > LARGEST_SHOWN:
        return None
    data = blobs.get(entry.digest)
    try:
        return None if b"\0" in data else data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _lines(text: str) -> list[str]:
    """Lines at line feeds only, each as it is; a text that ends without one says so, as diff does."""
    lines = text.split("\n")
    if lines[-1] == "":
        return lines[:-1]
    return [*lines[:-1], f"{lines[-1]}\n\\ No newline at end of file"]


def _diff(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    if len(old) + len(new) <= LONGEST_COMPARED:
        yield from list(unified_diff(old, new, n=CONTEXT, lineterm=""))[2:]
        return
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    gone, come = old[head : len(old) - tail], new[head : len(new) - tail]
    yield f"@@ -{head + 1},{len(gone)} +{head + 1},{len(come)} @@"
    yield from (f"-{line}" for line in gone)
    yield from (f"+{line}" for line in come)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    return next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
