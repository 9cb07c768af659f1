"""The port that the executor runs calls through."""

from __future__ import annotations

from typing import Protocol

from interlock.sandbox.call import SandboxCall, SandboxResult
from interlock.types import Blobs, Profile


class Driver(Protocol):
    """Runs tool calls. A failing tool is a result; only a missing sandbox is an exception."""

    async def run(self, call: SandboxCall, blobs: Blobs) -> SandboxResult:
        """Run `call` to its end. Cancelling the coroutine kills the call and removes its container.

        Args:
            call: what to run.
            blobs: where workspace files come from, and changed files and artifacts go to.

        Raises:
            SandboxUnavailable: no engine, no image, or a control did not hold; the tool did not start.
            Conflict: this call already has a container.
            InvalidInput: the workspace or the arguments exceed what the profile takes; the tool did not start.
        """
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
