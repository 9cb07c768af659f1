"""Change one place in one text file of the workspace."""

from typing import Annotated, TypedDict

from interlock import tool, workspace_path


class Edit(TypedDict):
    path: str
    line: int
    lines_removed: int
    lines_added: int


@tool(
    action="write",
    resource="workspace:{path}",
    workspace="write",
    preview="workspace_diff",
    sentence="Change {path}",
)
def edit_file(
    path: Annotated[str, "Path of a text file, relative to the workspace, like 'source/module.py'."],
    old: Annotated[str, "The exact text to replace, with its indentation. Empty: create a new file."],
    new: Annotated[str, "The text to put in its place."],
) -> Edit:
    """Replace one passage of a file, or create a file.

    `old` must occur exactly once in the file; when it occurs more often, include the lines around it. To create
    a file, give an empty `old` and a path that does not exist yet. Returns the line where the change starts.
    """
    file = workspace_path(path)
    if any(part.endswith(".git") for part in file.parts):
        raise ValueError(f"{path!r} is inside a git repository's own files; open_pull_request changes those")
    if old == new:
        raise ValueError("old and new are the same: nothing would change")
    if not old:
        return create(path, new)
    if not file.is_file():
        raise ValueError(f"there is no file {path!r}; to create it, give an empty old")
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{path!r} is not UTF-8 text and cannot be edited") from None
    found = text.count(old)
    if found == 0:
        raise ValueError(f"old does not occur in {path!r}; read the lines with read_file and copy them exactly")
    if found > 1:
        raise ValueError(f"old occurs {found} times in {path!r}; include the lines around it, so that it is one")
    file.write_bytes(text.replace(old, new).encode("utf-8"))
    line = text[: text.index(old)].count("\n") + 1
    return Edit(path=path, line=line, lines_removed=len(old.splitlines()), lines_added=len(new.splitlines()))


def create(path: str, text: str) -> Edit:
    file = workspace_path(path)
    if file.exists():
        raise ValueError(f"{path!r} exists; give the text to replace as old")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode("utf-8"))
    return Edit(path=path, line=1, lines_removed=0, lines_added=len(text.splitlines()))
