"""Work in threads that a cancelled activity must not leave half done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


async def to_its_end(function: Callable[P, R], *args: P.args, **named: P.kwargs) -> R:
    """Run in a thread; a cancellation waits for the thread, and is lost: what is done by then counts."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *args, **named))
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError:
            continue
    return work.result()


async def then_cancelled(function: Callable[P, R], *args: P.args, **named: P.kwargs) -> R:
    """Run in a thread; a cancellation waits for the thread, and is raised then."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *args, **named))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait({work})
        raise
