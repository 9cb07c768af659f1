"""Interlock: cold, from the pool with one container a call, or leased to a run."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from pathlib import Path
from typing import Any

import docker
import protocol
import work

from interlock.sandbox import DockerDriver, SandboxCall
from interlock.sandbox.docker_driver import Ahead
from interlock.sandbox.owner import own_id
from interlock.scratch import ScratchBlobs
from interlock.settings import Settings
from interlock.types import Profile

MODES: dict[str, dict[str, Any]] = {
    "cold": {"warm_max": 0},
    "call": {"warm_min": 4, "warm_max": 4},
    "run": {"reuse": "run", "warm_min": 1, "warm_max": 1},
}


class Interlock(protocol.Way):
    """The driver as an executor uses it. A caller is a run."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        self._driver = DockerDriver(Settings(root=Path(given["root"]), state=Path(given["folder"])))
        self._profile = Profile(**{**given["profile"], **MODES[given["mode"]]})
        self._blobs = ScratchBlobs()
        self._numbers = itertools.count()
        self._runs = 0

    async def open(self, slots: int) -> None:
        await self._driver.prepare([Ahead(self._profile, self.given["image"])])
        await self.settle()
        if self._profile.reuse == "run":
            # The first call of a run takes its container.
            await asyncio.gather(*(self.call(slot, "add", {"numbers": []}) for slot in range(self._runs, slots)))
            self._runs = slots

    async def settle(self) -> None:
        """Until used containers are gone and the pool is full."""
        await self._driver.settled()
        while True:
            pools = (await self._driver.report()).pools
            if all(pool.waiting >= pool.target and not pool.starting for pool in pools):
                return
            await asyncio.sleep(0.02)

    async def call(self, slot: int, function: str, arguments: dict[str, Any]) -> Any:
        run = f"bench-{os.getpid()}-{slot}"
        result = await self._driver.run(
            SandboxCall(
                call_id=f"{run}:c{next(self._numbers)}",
                run=run,
                tenant="bench",
                tool=function,
                source=work.tool(function),
                path=f"tools/{function}.py",
                arguments=arguments,
                profile=self._profile,
                image=self.given["image"],
            ),
            self._blobs,
        )
        self.tally[result.start] = self.tally.get(result.start, 0) + 1
        if result.value is None:
            raise RuntimeError(f"{result.status}: {result.error}")
        return json.loads(result.value)

    def containers(self) -> list[str]:
        api = docker.APIClient(version="auto")
        return [row["Id"] for row in api.containers(filters={"label": f"interlock.sandbox={own_id()}"})]

    async def close(self) -> None:
        await self._driver.close()


if __name__ == "__main__":
    protocol.serve(Interlock)
