"""A real engine, a real image, and a short way to run a tool written in a test."""

from __future__ import annotations

import asyncio
import secrets
import textwrap
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from support.blobs import FileBlobs
from support.egress import Service, service

from interlock.sandbox import DockerDriver, SandboxCall, SandboxResult, build_image
from interlock.sandbox.docker_driver import container_name
from interlock.settings import Settings
from interlock.types import Profile

RunTool = Callable[..., Coroutine[Any, Any, SandboxResult]]


def make_call(body: str, **given: Any) -> SandboxCall:
    """A call of the tool `t`: a whole source if it has `@tool`, else the body of a function without arguments."""
    text = textwrap.dedent(body)
    if "@tool" not in text:
        returns = given.pop("returns", "None")
        text = (
            f"import os, sys, time, socket, subprocess\nfrom interlock import tool, artifact\n\n\n"
            f'@tool(action="execute")\ndef t() -> {returns}:\n    """Do it."""\n{textwrap.indent(text, "    ")}'
        )
    limits = {"name": "default", "time_s": 20, "memory_mib": 128, **given.pop("limits", {})}
    return SandboxCall(
        **{
            "call_id": f"run-{secrets.token_hex(6)}:c1",
            "run": "run",
            "tool": "t",
            "source": text.encode(),
            "path": "tools/t.py",
            "profile": Profile(**limits),
            **given,
        }
    )


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(root=Path(__file__).parents[2], state=tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def image(settings: Settings) -> str:
    return build_image(settings)


@pytest.fixture(scope="session")
def engine() -> docker.APIClient:
    return docker.APIClient(**docker.utils.kwargs_from_env(), version="auto")


@pytest.fixture
async def driver(settings: Settings, image: str) -> AsyncIterator[DockerDriver]:
    one = DockerDriver(settings)
    yield one
    await one.close()


@pytest.fixture
def blobs() -> FileBlobs:
    return FileBlobs()


@pytest.fixture
def left_of(engine: docker.APIClient) -> Callable[[str], list[str]]:
    """Names of the containers that a call left behind."""

    def find(call_id: str) -> list[str]:
        # The engine's filter takes part of a name for the name.
        names = [f"/{container_name(call_id)}", f"/{container_name(call_id)}-taken"]
        found = engine.containers(all=True, filters={"name": container_name(call_id)})
        return [row["Names"][0] for row in found if row["Names"][0] in names]

    return find


@pytest.fixture
def run_tool(driver: DockerDriver, blobs: FileBlobs, left_of: Callable[[str], list[str]]) -> RunTool:
    """Run a body of code as a tool; afterwards no container of it may be left."""

    async def run(body: str, **given: Any) -> SandboxResult:
        call = make_call(body, **given)
        result = await driver.run(call, blobs)
        await driver.settled()
        assert await asyncio.to_thread(left_of, call.call_id) == []
        assert (result.value is not None) == (result.status == "ok")
        return result

    return run


@pytest.fixture(name="make_call", scope="session")
def _make_call() -> Callable[..., SandboxCall]:
    return make_call


@pytest.fixture(scope="module")
def web() -> Iterator[Service]:
    with service() as one:
        yield one


@pytest.fixture(scope="module")
def secure() -> Iterator[Service]:
    with service(tls=True) as one:
        yield one
