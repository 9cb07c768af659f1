"""Read a part of one text file of the workspace."""

from typing import Annotated, TypedDict

from interlock import tool, workspace_path

MOST_LINES = 1000


class FilePart(TypedDict):
    path: str
    start: int
    end: int
    lines_in_file: int
    text: str


@tool(
    action="read",
    resource="workspace:{path}",
    workspace="read",
    emits=("untrusted",),
    idempotent=True,
    sentence="Read {path}, lines {start} to {end}",
)
def read_file(
    path: Annotated[str, "Path of a text file, relative to the workspace, like 'source/module.py'."],
    start: Annotated[int, "First line, counting from 1."] = 1,
    end: Annotated[int, "Last line, included. At most 1000 lines are returned."] = 400,
) -> FilePart:
    """Read lines of a text file exactly as they are, without line numbers.

    What you read here is what `edit_file` must be given as `old`. `lines_in_file` says whether there is more.
    """
    file = workspace_path(path)
    if not file.is_file():
        raise ValueError(f"there is no file {path!r} in the workspace; search_code lists what is there")
    if start < 1 or end < start:
        raise ValueError(f"lines {start} to {end} is no range: start counts from 1 and end is not below it")
    try:
        lines = file.read_bytes().decode("utf-8").splitlines(keepends=True)
    except UnicodeDecodeError:
        raise ValueError(f"{path!r} is not UTF-8 text") from None
    if start > max(len(lines), 1):
        raise ValueError(f"{path!r} has {len(lines)} lines; line {start} does not exist")
    end = min(end, start + MOST_LINES - 1, len(lines))
    text = "".join(lines[start - 1 : end])
    return FilePart(path=path, start=start, end=end, lines_in_file=len(lines), text=text)
