"""List the files of a folder of logs."""

import os
from pathlib import Path
from typing import Annotated, TypedDict

from interlock import tool, workspace_path

MOST_FILES = 500


class LogFile(TypedDict):
    path: str
    bytes: int
    lines: int


class LogFiles(TypedDict):
    files: list[LogFile]
    more: bool


@tool(
    action="read",
    resource="workspace:{folder}",
    workspace="read",
    emits=("untrusted",),
    idempotent=True,
    sentence="List the files in {folder}",
)
def list_logs(
    folder: Annotated[str, "Folder, relative to the workspace; '.' is all of it."] = ".",
) -> LogFiles:
    """List every file at or under a folder, with its size in bytes and its number of lines."""
    start = workspace_path(folder)
    if not start.is_dir():
        raise ValueError(f"there is no folder {folder!r} in the workspace; '.' lists all of it")
    found = sorted(Path(parent) / name for parent, _, names in os.walk(start) for name in names)
    files = [
        LogFile(path=file.as_posix(), bytes=file.stat().st_size, lines=file.read_bytes().count(b"\n"))
        for file in found[:MOST_FILES]
    ]
    return LogFiles(files=files, more=len(found) > MOST_FILES)
