"""smolagents' DockerExecutor: a Jupyter kernel in the container, one interpreter for all calls."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import protocol
import work
from smolagents.monitoring import AgentLogger, LogLevel
from smolagents.remote_executors import DockerExecutor


class Smolagents(protocol.Way):
    """An executor a caller."""

    because = ("it is reached over TCP",)

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        self._executors: list[DockerExecutor] = []

    async def open(self, slots: int) -> None:
        wanted = slots - len(self._executors)
        self._executors += await asyncio.gather(*(asyncio.to_thread(self._start) for _ in range(wanted)))

    def _start(self) -> DockerExecutor:
        hardening = {**self.given["hardening"], "network": self.given["network"]}
        del hardening["network_mode"]
        return DockerExecutor(
            [],
            AgentLogger(level=LogLevel.ERROR),
            port=_free_port(),
            image_name=self.given["image"],
            build_new_image=False,
            container_run_kwargs={**hardening, "labels": self.given["labels"], "environment": {"HOME": "/tmp"}},
        )

    async def call(self, slot: int, function: str, arguments: dict[str, Any]) -> Any:
        code = work.script(function, arguments)
        return work.printed((await asyncio.to_thread(self._executors[slot].run_code_raise_errors, code)).logs)

    def containers(self) -> list[str]:
        return [one.container.id for one in self._executors]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    protocol.serve(Smolagents)
