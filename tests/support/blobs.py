"""Blobs in memory that hold workspaces."""

from __future__ import annotations

from interlock.scratch import ScratchBlobs
from interlock.types import FileEntry, Tree


class FileBlobs(ScratchBlobs):
    """Makes trees of files, and reads them."""

    def tree(self, files: dict[str, bytes], executable: tuple[str, ...] = ()) -> Tree:
        """A workspace of these files."""
        return Tree(
            files={
                path: FileEntry(digest=self.put(data), size=len(data), executable=path in executable)
                for path, data in files.items()
            }
        )

    def contents(self, tree: Tree) -> dict[str, bytes]:
        """Path → bytes."""
        return {path: self.get(entry.digest) for path, entry in tree.files.items()}
