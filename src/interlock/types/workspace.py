"""A workspace: the files of a run, as a tree of digests. The tree's own digest is the workspace's digest."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from interlock.types.closed import Closed
from interlock.types.names import Digest


def check_path(path: str) -> str:
    """A relative POSIX path without `.`, `..`, empty segments, backslash, NUL or control characters."""
    segments = path.split("/")
    if not path or len(path.encode()) > 1024 or any(s in ("", ".", "..") for s in segments):
        raise ValueError(f"{path!r} is not a plain relative path")
    if "\\" in path or any(ord(c) < 32 or ord(c) == 127 for c in path):
        raise ValueError(f"{path!r} has a backslash or a control character")
    return path


RelativePath = Annotated[str, AfterValidator(check_path)]


class FileEntry(Closed):
    """One regular file. Folders exist through their files; links and devices do not exist here."""

    digest: Digest
    size: int = Field(ge=0)
    executable: bool = False


class Tree(Closed):
    """All files of a workspace, by relative path."""

    files: dict[RelativePath, FileEntry] = Field(default_factory=dict)

    def as_hashed(self) -> dict[str, Any]:
        """The JSON value whose canonical bytes are stored; their digest names the workspace.

        A list of rows and not an object, because paths may hold non-ASCII characters and keys may not.
        """
        return {
            "v": 1,
            "files": [
                [path, entry.digest, entry.size, entry.executable] for path, entry in sorted(self.files.items())
            ],
        }

    @classmethod
    def from_hashed(cls, value: Any) -> Tree:
        """Read what `as_hashed` wrote.

        Raises:
            pydantic.ValidationError: a row does not fit.
        """
        return cls(
            files={
                path: FileEntry(digest=digest, size=size, executable=executable)
                for path, digest, size, executable in value["files"]
            }
        )
