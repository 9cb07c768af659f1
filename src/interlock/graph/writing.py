"""What nodes write while they run (`get_stream_writer()`), for those who look on: `interlock run live`.

It leaves an activity with its heartbeats, so it costs no history. Nobody vouches for it, and it is kept nowhere.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Lock
from time import monotonic
from typing import Any, Final

from temporalio import activity

from interlock.graph.beating import BEAT_S
from interlock.graph.messages import dump
from interlock.types.closed import Closed

EVERY_S: Final = 0.5
"""How often it is told."""
LARGEST: Final = 8 * 1024
"""Characters of the newest text that are told."""


class Written(Closed):
    """What one node has written so far."""

    node: str
    """`AGENT.NODE`."""
    written: int
    """Characters so far."""
    tail: str
    """The newest of them."""


class Writer:
    """Takes what a node writes: text, or values that are shown as JSON. Each is a line."""

    def __init__(self, node: str) -> None:
        self._node, self._lock = node, Lock()
        self._tail, self._written, self._told = "", 0, 0

    def __call__(self, value: Any) -> None:
        """Write one value. May be called from any thread."""
        line = f"{value if isinstance(value, str) else json.dumps(dump(value, path='written'))}\n"
        with self._lock:
            self._written += len(line)
            self._tail = (self._tail + line)[-LARGEST:]

    def news(self) -> bool:
        """Whether something was written since it was told."""
        with self._lock:
            return self._told != self._written

    def told(self) -> tuple[Written, ...]:
        """What has been written, for a heartbeat; nothing before the first of it."""
        with self._lock:
            self._told = self._written
            if not self._written:
                return ()
            return (Written(node=self._node, written=self._written, tail=self._tail),)


@asynccontextmanager
async def writing(node: str) -> AsyncIterator[Writer]:
    """A writer for the activity at hand; what is written is told while it runs."""
    writer = Writer(node)
    if not activity.in_activity():  # a trial run
        yield writer
        return
    telling = asyncio.create_task(_tell(writer))
    try:
        yield writer
    finally:
        telling.cancel()


async def _tell(writer: Writer) -> None:
    """A heartbeat that tells nothing takes back what the one before told, so each tells all."""
    beat = monotonic()
    while True:
        await asyncio.sleep(EVERY_S)
        if writer.news() or monotonic() - beat >= BEAT_S:
            beat = monotonic()
            activity.heartbeat(*writer.told())
