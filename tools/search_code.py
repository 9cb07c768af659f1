"""Find where something is written in the files of the workspace."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TypedDict

from interlock import tool, workspace_path

LARGEST_FILE = 1_000_000


class Match(TypedDict):
    path: str
    line: int
    text: str


class Matches(TypedDict):
    matches: list[Match]
    files_searched: int
    more: bool


@tool(
    action="read",
    resource="workspace:{path}",
    workspace="read",
    emits=("untrusted",),
    idempotent=True,
    sentence="Search {path} for {pattern}",
)
def search_code(
    pattern: Annotated[str, "A Python regular expression, matched against one line at a time."],
    path: Annotated[
        str, "A file, or a folder to search with all its subfolders; '.' is the whole workspace."
    ] = ".",
    limit: Annotated[int, "Most matches to return, 1 to 200."] = 50,
) -> Matches:
    """Search text files line by line for a regular expression.

    Returns each matching line with its file and line number, in order of path. `more` says that the limit cut
    the list: narrow the pattern or the path. Binary files, files above 1 MB and git repositories are left out.
    To search for text that holds characters like ( or [, escape them with a backslash.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"pattern {pattern!r} is not a regular expression: {error}") from None
    limit = max(1, min(limit, 200))
    matches: list[Match] = []
    searched = 0
    for file, text in texts(workspace_path(path)):
        searched += 1
        for number, line in enumerate(text.splitlines(), 1):
            if expression.search(line):
                if len(matches) == limit:
                    return Matches(matches=matches, files_searched=searched, more=True)
                matches.append(Match(path=file.as_posix(), line=number, text=line[:400]))
    return Matches(matches=matches, files_searched=searched, more=False)


def texts(start: Path) -> Iterator[tuple[Path, str]]:
    """Every readable text file at or under `start`."""
    if not start.exists():
        raise ValueError(f"there is no {start.as_posix()!r} in the workspace; '.' searches all of it")
    for file in [start] if start.is_file() else walk(start):
        if file.is_symlink() or file.stat().st_size > LARGEST_FILE:
            continue
        data = file.read_bytes()
        if b"\0" not in data:
            yield file, data.decode("utf-8", errors="replace")


def walk(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.endswith(".git") and name != "__pycache__")
        yield from (Path(parent) / name for name in sorted(files))
