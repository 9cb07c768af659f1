"""The port that the executor runs calls through, and which driver the settings ask for."""

from __future__ import annotations

from typing import Protocol

from interlock.sandbox.call import UNOBSERVED, Observer, SandboxCall, SandboxResult
from interlock.sandbox.docker_driver import DockerDriver
from interlock.sandbox.in_process import InProcessDriver
from interlock.settings import Settings
from interlock.types import Blobs, Profile


class Driver(Protocol):
    """Runs tool calls. A failing tool is a result; only a missing sandbox is an exception."""

    async def run(self, call: SandboxCall, blobs: Blobs, observer: Observer = UNOBSERVED) -> SandboxResult:
        """Run `call` to its end. Cancelling the coroutine kills the call and removes its container.

        Args:
            call: what to run.
            blobs: where workspace files come from, and changed files and artifacts go to.
            observer: sees what it prints, as it comes, and what is about to leave.

        Raises:
            SandboxUnavailable: no engine, no image, or a control does not hold; the tool did not start.
            Conflict: this call already has a container.
            InvalidInput: the workspace or the arguments exceed what the profile takes; the tool did not start.
            IntegrityError: a workspace file is not in the blobs; the tool did not start.
            LedgerUnavailable: the blobs cannot be read or written.
        """
        ...

    async def resume(
        self, call: SandboxCall, blobs: Blobs, observer: Observer = UNOBSERVED
    ) -> SandboxResult | None:
        """Take over a call whose executor died while it ran: its result, or None if nothing of it is left.

        Whatever this returns, the call runs no more. Arguments and errors are those of `run`.
        """
        ...

    async def release(self, run: str) -> None:
        """The run has ended: the containers leased to it are destroyed."""
        ...

    async def kill(self, call_id: str) -> None:
        """Kill the call's container, whoever started it; nothing happens if there is none."""
        ...

    async def close(self) -> None:
        """Kill what still runs and let go of the engine."""
        ...

    def contained(self, profile: Profile) -> bool:
        """Whether nothing can leave a sandbox of this profile but its result."""
        ...


async def run_once(settings: Settings, call: SandboxCall, blobs: Blobs) -> SandboxResult:
    """Run one call in a driver of its own, for whoever runs no other.

    Raises: see `Driver.run` and `make_driver`.
    """
    driver = make_driver(settings)
    try:
        return await driver.run(call, blobs)
    finally:
        await driver.close()


def make_driver(settings: Settings) -> Driver:
    """The driver that the settings name. It meets the engine at its first call.

    Raises:
        Refused: the in-process driver outside tests and benchmarks.
    """
    return InProcessDriver(settings) if settings.sandbox_driver == "in_process" else DockerDriver(settings)
