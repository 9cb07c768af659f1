"""The worker's side: a way of running code, served over lines of JSON. Standard library only, any environment.

A request is `{"do": …}` and gets one line back, `{"error": …}` where it failed:

    open       slots                       → containers that wait, why they lack hardening
    call       slot, function, arguments   → ms around that one call, value
    crowd      slots, seconds              → ms of each call that so many callers at a time made, what failed,
                                             seconds taken
    settle                                 → seconds until the way is as ready as before the last call
    tally                                  → whatever the way counted since the last time
    close
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import work


class Way:
    """One way of running code. `slots` callers use it at the same time, each with its own slot."""

    because: tuple[str, ...] = ()
    """Why it cannot be given all of the hardening."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given
        self.tally: dict[str, int] = {}

    async def open(self, slots: int) -> None:
        """Be ready for so many callers; called again with more."""

    async def call(self, slot: int, function: str, arguments: dict[str, Any]) -> Any:
        """Run a function of `work.py`; returns its value."""
        raise NotImplementedError

    async def settle(self) -> None:
        """Wait until the next call finds what the last one found."""

    def containers(self) -> list[str]:
        """Ids of the containers that wait for a call."""
        return []

    async def close(self) -> None:
        """Leave nothing behind."""


def serve(make: Callable[[dict[str, Any]], Way]) -> None:
    """Serve the way that `make` makes of the JSON document given as the last argument."""
    # Whatever a peer prints goes to the log, not between the replies.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    asyncio.run(_serve(make(json.loads(sys.argv[-1])), replies))


async def _serve(way: Way, replies: Any) -> None:
    while True:
        line = await asyncio.to_thread(sys.stdin.readline)
        request = json.loads(line) if line else {"do": "close"}
        try:
            reply = await _answer(way, request)
        except Exception as error:
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}
        if line:
            print(json.dumps(reply), file=replies)
        if request["do"] == "close":
            return


async def _answer(way: Way, request: dict[str, Any]) -> dict[str, Any]:
    began = time.perf_counter()
    if request["do"] == "open":
        await way.open(request["slots"])
        return {"containers": way.containers(), "because": list(way.because)}
    if request["do"] == "call":
        ms, value = await timed(way, request["slot"], request["function"], request["arguments"])
        return {"ms": ms, "value": value}
    if request["do"] == "crowd":
        ends = began + request["seconds"]
        failed: list[str] = []
        lanes = await asyncio.gather(*(_lane(way, slot, ends, failed) for slot in range(request["slots"])))
        seconds = time.perf_counter() - began
        return {"ms": [ms for lane in lanes for ms in lane], "failed": failed, "seconds": seconds}
    if request["do"] == "settle":
        await way.settle()
        return {"seconds": time.perf_counter() - began, "containers": way.containers()}
    if request["do"] == "tally":
        counted, way.tally = way.tally, {}
        return counted
    await way.close()
    return {}


async def timed(way: Way, slot: int, function: str, arguments: dict[str, Any]) -> tuple[float, Any]:
    """Milliseconds of one call, and its value."""
    began = time.perf_counter()
    value = await way.call(slot, function, arguments)
    return (time.perf_counter() - began) * 1000, value


async def _lane(way: Way, slot: int, ends: float, failed: list[str]) -> list[float]:
    """One caller: the next call when the last has answered, until the time is up or a call has failed."""
    spent: list[float] = []
    while not spent or time.perf_counter() < ends:
        numbers = [slot, len(spent), 7]
        try:
            ms, value = await timed(way, slot, "add", {"numbers": numbers})
            if value != work.expected(numbers):
                raise RuntimeError(f"a wrong answer: {value!r}")
        except Exception as error:
            failed.append(f"{type(error).__name__}: {error}"[:300])
            break
        spent.append(ms)
    return spent
