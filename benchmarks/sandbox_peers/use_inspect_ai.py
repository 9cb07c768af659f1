"""inspect_ai's Docker sandbox: `docker compose exec`, a process of the command line a call."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import protocol
import work
from inspect_ai.util._sandbox.docker.cleanup import project_cleanup_startup
from inspect_ai.util._sandbox.docker.docker import DockerSandboxEnvironment


class Inspect(protocol.Way):
    """A sample's sandbox a caller."""

    # Its check of the engine's version (24.0.6 or later) is left out, or an older engine could not be measured.

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        self._samples: list[dict[str, Any]] = []
        self._compose = Path(given["folder"]) / "compose.yaml"

    async def open(self, slots: int) -> None:
        project_cleanup_startup()
        # JSON is YAML.
        self._compose.write_text(json.dumps({"services": {"default": self.given["compose"]}}))
        for _ in range(slots - len(self._samples)):
            self._samples.append(await DockerSandboxEnvironment.sample_init("bench", str(self._compose), {}))

    async def call(self, slot: int, function: str, arguments: dict[str, Any]) -> Any:
        command = ["python3", "-I", "-c", work.script(function, arguments)]
        done = await self._samples[slot]["default"].exec(command)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return work.printed(done.stdout)

    def containers(self) -> list[str]:
        found: list[str] = []
        for sample in self._samples:
            label = f"label=com.docker.compose.project={sample['default']._project.name}"
            command = ["docker", "ps", "--quiet", "--no-trunc", "--filter", label]
            found += subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        return found


if __name__ == "__main__":
    protocol.serve(Inspect)
