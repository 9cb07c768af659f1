"""A real engine, the shipped driver, attacks as the source of a tool. Nothing of them may be left afterwards."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from support.blobs import FileBlobs

from interlock.sandbox import DockerDriver, SandboxCall, SandboxResult, build_image
from interlock.sandbox.options import LABEL
from interlock.sandbox.owner import own_id
from interlock.settings import Settings
from interlock.types import Profile

ATTACKS = Path(__file__).parent / "attacks"
GONE_S = 10


class Attacker:
    """Runs tools of `attacks/` in the sandbox."""

    def __init__(self, driver: DockerDriver, image: str) -> None:
        self.driver = driver
        self.image = image
        self.blobs = FileBlobs()

    def call(self, file: str, tool: str, **given: Any) -> SandboxCall:
        """The call of one attack; `limits` change the profile."""
        run = given.pop("run", f"abuse-{secrets.token_hex(6)}")
        changed = given.pop("limits", {})
        # One container is kept waiting of the shape that most attacks have; of the others none, which is quicker.
        limits = {"name": "abuse", "time_s": 20, "memory_mib": 128, "warm_max": 0 if changed else 1, **changed}
        return SandboxCall(
            **{
                "call_id": f"{run}:{given.pop('number', secrets.token_hex(4))}",
                "run": run,
                "tool": tool,
                "source": (ATTACKS / f"{file}.py").read_bytes(),
                "path": f"tools/{file}.py",
                "profile": Profile(**limits),
                "image": self.image,
                **given,
            }
        )

    @staticmethod
    def read(result: SandboxResult) -> Any:
        """The value that a call returned."""
        return json.loads(result.value or b"null")

    async def run(self, file: str, tool: str, **given: Any) -> SandboxResult:
        """How an attack ended."""
        result = await self.driver.run(self.call(file, tool, **given), self.blobs)
        assert (result.value is not None) == (result.status == "ok")
        return result

    async def fact(self, file: str, tool: str, **given: Any) -> Any:
        """What an attack that came to its own end saw."""
        result = await self.run(file, tool, **given)
        assert result.status == "ok", (result.error, result.stderr)
        return self.read(result)


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(root=Path(__file__).parents[2], state=tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def image(settings: Settings) -> str:
    return build_image(settings)


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.APIClient]:
    client = docker.APIClient(**docker.utils.kwargs_from_env(), version="auto")
    yield client
    client.close()


def _own(engine: docker.APIClient) -> set[str]:
    """The containers that this process has on the engine."""
    return {row["Id"] for row in engine.containers(all=True, filters={"label": f"{LABEL}={own_id()}"})}


@pytest.fixture(scope="module")
async def driver(settings: Settings, image: str, engine: docker.APIClient) -> AsyncIterator[DockerDriver]:
    """The shipped driver. When it is closed, no container that it started is left, warm ones included."""
    before = _own(engine)
    one = DockerDriver(settings)
    yield one
    await one.close()
    end = time.monotonic() + GONE_S
    while (left := _own(engine) - before) and time.monotonic() < end:
        time.sleep(0.1)
    assert left == set()


@pytest.fixture(scope="module")
def attacker(driver: DockerDriver, image: str) -> Attacker:
    return Attacker(driver, image)


@pytest.fixture
def blobs(attacker: Attacker) -> FileBlobs:
    """The attacker's blobs, emptied."""
    attacker.blobs = FileBlobs()
    return attacker.blobs
