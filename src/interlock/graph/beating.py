"""An activity of a graph says that it lives, so that another worker begins again soon after its own was killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from temporalio import activity

BEAT_S: Final = 5
SILENCE: Final = timedelta(seconds=30)
"""An activity that is not heard of for so long is taken for dead. A node that holds its worker up for longer, by
waiting without `await` in an async function, is begun a second time."""


@asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Tell Temporal now and then that the activity at hand lives. The start counts as its first beat."""
    if not activity.in_activity():  # a trial run
        yield
        return
    telling = asyncio.create_task(_beat())
    try:
        yield
    finally:
        telling.cancel()


async def _beat() -> None:
    while True:
        await asyncio.sleep(BEAT_S)
        activity.heartbeat()
