"""What is sent into a container for one call: source, arguments, files; checked against the profile first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from interlock.digest import canonical
from interlock.errors import IntegrityError, InvalidInput
from interlock.sandbox.call import SandboxCall
from interlock.sandbox.guest import files, frames
from interlock.sandbox.options import MIB
from interlock.sandbox.stream import Stream
from interlock.types import Blobs, FileEntry

_BATCH: Final = 1 << 20


def check(call: SandboxCall) -> bytes:
    """Refuse what cannot fit; returns the arguments' canonical bytes.

    Raises:
        InvalidInput: names what is too large and the limit.
    """
    if len(call.source) > frames.MAX_BODY:
        raise InvalidInput(f"source of {call.tool!r} has {len(call.source)} bytes, the limit is {frames.MAX_BODY}")
    profile, tree = call.profile, call.workspace.files
    if call.workspace_use != "none":
        size = sum(entry.size for entry in tree.values())
        folders = {path[:at] for path in tree for at in range(len(path)) if path[at] == "/"}
        depth = max((path.count("/") for path in tree), default=0)
        next_step = f"raise workspace_mib or workspace_files of profile {profile.name!r}"
        if size > profile.workspace_mib * MIB:
            raise InvalidInput(
                f"the workspace has {size} bytes, the limit is {profile.workspace_mib} MiB", next_step=next_step
            )
        if len(tree) + len(folders) > profile.workspace_files:
            raise InvalidInput(
                f"the workspace has {len(tree) + len(folders)} files and folders, the limit is "
                f"{profile.workspace_files}",
                next_step=next_step,
            )
        if depth > files.MAX_DEPTH:
            raise InvalidInput(f"the workspace is {depth} folders deep, the limit is {files.MAX_DEPTH}")
    return canonical(call.arguments)


def send(stream: Stream, call: SandboxCall, arguments: bytes, blobs: Blobs) -> None:
    """Send the call; it runs when the last frame is in.

    Raises:
        IntegrityError: a workspace file is not in the blobs, or is of another size than the workspace says.
        StreamEnded, DeadlinePassed: see `Stream`.
    """
    batch = bytearray()
    for frame in _frames(call, arguments, blobs):
        batch += frame
        if len(batch) >= _BATCH:
            stream.send(bytes(batch))
            batch.clear()
    stream.send(bytes(batch))


def _frames(call: SandboxCall, arguments: bytes, blobs: Blobs) -> Iterator[bytes]:
    yield frames.pack({"kind": "source"}, call.source)
    yield frames.pack({"kind": "arguments"}, arguments)
    if call.workspace_use != "none":
        for path, entry in call.workspace.files.items():
            head = {"kind": "file", "path": path, "executable": entry.executable}
            for piece, more in frames.pieces(_content(blobs, path, entry)):
                yield frames.pack({**head, "more": more}, piece)
    profile = call.profile
    yield frames.pack(
        {
            # A runner that is older than this question does not take it for a call: it ends.
            "kind": "reconcile" if call.asks else "run",
            "call": call.call_id,
            "idempotency_key": call.idempotency_key,
            "tool": call.tool,
            "tool_kind": call.kind,
            "path": call.path,
            "time_s": profile.time_s,
            "output_bytes": profile.output_kib * 1024,
            "collect": call.workspace_use == "write" and not call.asks,
            "max_files": profile.workspace_files,
            "max_bytes": profile.workspace_mib * MIB,
        }
    )


def _content(blobs: Blobs, path: str, entry: FileEntry) -> bytes:
    """A file's bytes; the limits were checked against the size that the workspace gives."""
    content = blobs.get(entry.digest)
    if len(content) != entry.size:
        raise IntegrityError(f"{path!r} has {len(content)} bytes, the workspace says {entry.size}")
    return content
