"""The files that a run starts from, given as values instead of as a folder."""

from __future__ import annotations

from collections.abc import Mapping

from interlock.digest import canonical
from interlock.errors import InvalidInput
from interlock.run.files import MAX_BYTES, MAX_FILES, TREE_MAX_BYTES
from interlock.types.blobs import Blobs
from interlock.types.names import Digest
from interlock.types.workspace import FileEntry, Tree, check_path


def kept_files(files: Mapping[str, str], blobs: Blobs) -> Digest:
    """Keep texts by digest; returns the digest of their tree.

    Raises:
        InvalidInput: a path that no workspace takes, text that is not valid UTF-8, or too much of it.
    """
    if len(files) > MAX_FILES:
        raise InvalidInput(f"files: {len(files)} files, at most {MAX_FILES} may be")
    if inside := next((name for name in files for above in _above(name) if above in files), ""):
        raise InvalidInput(f"files: {inside[:200]!r} is inside what is a file itself")
    entries, total = {}, 0
    for name, text in sorted(files.items()):
        try:
            path, data = check_path(name), text.encode()
        except (ValueError, UnicodeEncodeError) as error:
            raise InvalidInput(f"files: {name[:200]!r} cannot be in a workspace: {error}") from error
        total += len(data)
        if total > MAX_BYTES:
            raise InvalidInput(f"files: more than {MAX_BYTES // 2**20} MiB")
        entries[path] = FileEntry(digest=blobs.put(data), size=len(data), executable=False)
    return blobs.put(canonical(Tree(files=entries).as_hashed(), max_bytes=TREE_MAX_BYTES))


def _above(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
