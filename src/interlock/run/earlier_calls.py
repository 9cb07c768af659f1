"""The calls that a workflow set aside: a linked list of blobs, of which it keeps only the head.

What a step costs, in history and in the workflow's memory, so does not grow with the calls before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Final

from cachetools import LRUCache, cached
from pydantic import JsonValue

from interlock.digest import parse
from interlock.run.contracts import CallSoFar, RunSoFar
from interlock.types.blobs import Blobs
from interlock.types.closed import Closed
from interlock.types.names import OptionalDigest

AT_ONCE: Final = 32
"""How many calls are set aside at a time."""


class Chunk(Closed):
    """Some calls, oldest first."""

    earlier: OptionalDigest
    """The chunk before this one; empty: none."""
    calls: tuple[CallSoFar, ...]


def chunk(earlier: str, calls: Sequence[CallSoFar]) -> JsonValue:
    """The value to store for the next chunk."""
    value: JsonValue = Chunk(earlier=earlier, calls=tuple(calls)).model_dump(mode="json")
    return value


def whole(so_far: RunSoFar, blobs: Blobs) -> RunSoFar:
    """With the calls that were set aside.

    Raises:
        IntegrityError: a chunk is absent or altered.
    """
    if not so_far.earlier:
        return so_far
    calls = (*_earlier(blobs, so_far.earlier), *so_far.calls)
    return so_far.model_copy(update={"earlier": "", "calls": calls})


@cached(LRUCache(maxsize=256), key=lambda blobs, digest: digest, lock=Lock())
def _earlier(blobs: Blobs, digest: str) -> tuple[CallSoFar, ...]:
    found: list[Chunk] = []
    while digest:
        found.append(Chunk.model_validate(parse(blobs.get(digest))))
        digest = found[-1].earlier
    return tuple(call for one in reversed(found) for call in one.calls)
