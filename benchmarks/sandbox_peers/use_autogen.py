"""autogen's DockerCommandLineCodeExecutor: a file in a mounted folder, then `docker exec`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import protocol
import work
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock
from autogen_ext.code_executors.docker import DockerCommandLineCodeExecutor


class Autogen(protocol.Way):
    """An executor a caller."""

    because = ("it takes no options of the container, and mounts a folder of the host",)

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        self._executors: list[DockerCommandLineCodeExecutor] = []
        self._folder = tempfile.TemporaryDirectory(prefix="autogen-")

    async def open(self, slots: int) -> None:
        Path(self._folder.name).chmod(0o755)
        for number in range(len(self._executors), slots):
            shared = Path(self._folder.name) / str(number)
            shared.mkdir()
            shared.chmod(0o777)
            # Without this it stops a container at exit and waits 10 s, since a shell ignores the signal.
            one = DockerCommandLineCodeExecutor(self.given["image"], work_dir=shared, stop_container=False)
            await one.start()
            self._executors.append(one)

    async def call(self, slot: int, function: str, arguments: dict[str, Any]) -> Any:
        block = CodeBlock(code=work.script(function, arguments), language="python")
        done = await self._executors[slot].execute_code_blocks([block], CancellationToken())
        if done.exit_code:
            raise RuntimeError(done.output)
        return work.printed(done.output)

    def containers(self) -> list[str]:
        return [str(one._container.id) for one in self._executors if one._container]

    async def close(self) -> None:
        self._folder.cleanup()


if __name__ == "__main__":
    protocol.serve(Autogen)
