"""Plain Docker through its SDK, fully hardened: a fresh container a call, or `docker exec` into a warm one."""

from __future__ import annotations

import asyncio
from typing import Any

import docker
import protocol
import work

HOLD = ["sleep", "infinity"]


class Fresh(protocol.Way):
    """`docker run`: created, started, waited for, read, removed."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        self._client = docker.from_env(timeout=120, max_pool_size=32)

    async def call(self, slot: int, function: str, arguments: dict[str, Any]) -> Any:
        return await asyncio.to_thread(self._run, work.script(function, arguments))

    def _run(self, code: str) -> Any:
        # A log driver, unlike the rest of the hardening: `run` reads the output from there.
        hardening = {**self.given["hardening"], "log_config": {"type": "json-file"}}
        output = self._client.containers.run(
            self.given["image"],
            ["python3", "-I", "-c", code],
            remove=True,
            labels=self.given["labels"],
            **hardening,
        )
        return work.printed(output.decode())


class Exec(protocol.Way):
    """`docker exec`: the container stays, a new interpreter a call."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        self._client = docker.from_env(timeout=120, max_pool_size=32)
        self._warm: list[Any] = []

    async def open(self, slots: int) -> None:
        await asyncio.gather(*(asyncio.to_thread(self._start) for _ in range(slots - len(self._warm))))

    def _start(self) -> None:
        labels, hardening = self.given["labels"], self.given["hardening"]
        self._warm.append(
            self._client.containers.run(self.given["image"], HOLD, detach=True, labels=labels, **hardening)
        )

    async def call(self, slot: int, function: str, arguments: dict[str, Any]) -> Any:
        command = ["python3", "-I", "-c", work.script(function, arguments)]
        code, output = await asyncio.to_thread(self._warm[slot].exec_run, command)
        if code:
            raise RuntimeError(output.decode())
        return work.printed(output.decode())

    def containers(self) -> list[str]:
        return [one.id for one in self._warm]


if __name__ == "__main__":
    protocol.serve(lambda given: {"fresh": Fresh, "exec": Exec}[given["mode"]](given))
