"""SWE-ReX: its server waits in the container and starts a process for each command."""

from __future__ import annotations

import asyncio
import subprocess
from typing import Any

import protocol
import work
from swerex.deployment.docker import DockerDeployment
from swerex.runtime.abstract import Command


class SweRex(protocol.Way):
    """A deployment a caller."""

    because = ("it is reached over TCP",)

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        self._deployments: list[DockerDeployment] = []

    async def open(self, slots: int) -> None:
        flags = [*self.given["flags"], f"--network={self.given['network']}", "--env=HOME=/tmp"]
        flags += [f"--label={name}={value}" for name, value in self.given["labels"].items()]
        for _ in range(slots - len(self._deployments)):
            one = DockerDeployment(image=self.given["image"], pull="never", docker_args=flags)
            # Its own check answers within 0.15 s or not at all, which a loaded machine may miss; it asks again.
            await one.start()
            self._deployments.append(one)

    async def call(self, slot: int, function: str, arguments: dict[str, Any]) -> Any:
        command = Command(command=["python3", "-I", "-c", work.script(function, arguments)], timeout=60)
        done = await self._deployments[slot].runtime.execute(command)
        if done.exit_code:
            raise RuntimeError(done.stderr)
        return work.printed(done.stdout)

    def containers(self) -> list[str]:
        names = [one.container_name or "" for one in self._deployments]
        if not names:
            return []
        command = ["docker", "inspect", "--format", "{{.Id}}", *names]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    async def close(self) -> None:
        await asyncio.gather(*(one.stop() for one in self._deployments), return_exceptions=True)


if __name__ == "__main__":
    protocol.serve(SweRex)
