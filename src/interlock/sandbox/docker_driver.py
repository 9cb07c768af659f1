"""One container a call, on a Docker engine: one that was started ahead where there is one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, TypeVar

from interlock.errors import Conflict, SandboxUnavailable
from interlock.sandbox import request
from interlock.sandbox.call import UNOBSERVED, Observer, SandboxCall, SandboxResult
from interlock.sandbox.claiming import Stopped, container_name
from interlock.sandbox.engine import BUILD_IMAGE, MAX_CALLS, engine_errors
from interlock.sandbox.engine_objects import remove
from interlock.sandbox.fleet import Ahead, Fleet
from interlock.sandbox.images import image_id
from interlock.sandbox.outcome import Outcome
from interlock.sandbox.report import SandboxReport
from interlock.sandbox.running import Running
from interlock.sandbox.service import serve
from interlock.sandbox.take_over import take_over
from interlock.settings import Settings
from interlock.types import Blobs, Profile

__all__ = ["Ahead", "DockerDriver", "container_name"]

_STOP_S: Final = 10
_T = TypeVar("_T")


class DockerDriver:
    """Runs each call in a container of its own, or in its run's own where the profile says so."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(MAX_CALLS, thread_name_prefix="sandbox")
        self._running: dict[str, Running] = {}
        self._fleet = Fleet(settings)

    async def run(self, call: SandboxCall, blobs: Blobs, observer: Observer = UNOBSERVED) -> SandboxResult:
        """See `Driver.run`."""
        return await self._stoppable(call.call_id, lambda running: self._run(call, blobs, observer, running))

    async def resume(
        self, call: SandboxCall, blobs: Blobs, observer: Observer = UNOBSERVED
    ) -> SandboxResult | None:
        """See `Driver.resume`."""
        return await self._stoppable(
            call.call_id,
            lambda running: take_over(self._fleet, call, Outcome(call, blobs, observer), running, observer),
        )

    async def _stoppable(self, call_id: str, work: Callable[[Running], _T]) -> _T:
        """Do `work` in a thread; cancelling this coroutine stops it."""
        if call_id in self._running:
            raise Conflict(f"call {call_id!r} is running")
        running = self._running[call_id] = Running()
        doing = asyncio.get_running_loop().run_in_executor(self._threads, work, running)
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            await asyncio.to_thread(running.stop)
            await asyncio.wait({doing}, timeout=_STOP_S)
            with suppress(BaseException):
                doing.exception()
            raise
        finally:
            self._running.pop(call_id, None)

    def _run(self, call: SandboxCall, blobs: Blobs, observer: Observer, running: Running) -> SandboxResult:
        """The whole call, in a thread."""
        arguments = request.check(call)
        image = call.image or self._image(call.profile)
        started_at = datetime.now(UTC)
        outcome = Outcome(call, blobs, observer)
        try:
            held = self._fleet.claims.claim(call, image, running)
        except (Stopped, SandboxUnavailable):
            if not running.stopped:
                raise
            # Killed while it started: that is an end of the call, not a want of the engine.
            outcome.explain_death(stopped=True, out_of_memory=lambda: False)
            return outcome.result(image=image, started_at=started_at, ended_at=datetime.now(UTC))
        egress = serve(self._fleet, call, held, outcome, arguments, observer, running)
        return outcome.result(
            image=image, started_at=started_at, ended_at=datetime.now(UTC), start=held.start, egress=egress
        )

    def _image(self, profile: Profile) -> str:
        found = image_id(self._settings, profile.image)
        if found is None:
            raise SandboxUnavailable(f"sandbox image {profile.image!r} is not built", next_step=BUILD_IMAGE)
        return found

    async def release(self, run: str) -> None:
        """See `Driver.release`."""
        self._fleet.leases.release(run)

    async def prepare(self, wanted: Sequence[Ahead]) -> None:
        """Keep containers ready for these profiles, from now on; those of other images and limits go.

        An executor calls this when it starts and when its policy or its images change.

        Args:
            wanted: each profile of the policy in force, with its image and with whether calls under it have a way
                out (twice where some have and some have not).
        """
        await asyncio.to_thread(self._fleet.prepare, wanted)

    async def report(self) -> SandboxReport:
        """What the containers of this executor are doing."""
        return await asyncio.to_thread(self._fleet.report, list(self._running.values()))

    async def settled(self) -> None:
        """Wait until every container whose call has ended is gone."""
        await asyncio.to_thread(self._fleet.removal.settle)

    async def kill(self, call_id: str) -> None:
        """See `Driver.kill`."""
        running = self._running.get(call_id)
        if running is not None:
            await asyncio.to_thread(running.stop)
        await asyncio.to_thread(self._remove, container_name(call_id))

    def _remove(self, name: str) -> None:
        # By id first: a container that a call has begun in may not have the call's name yet.
        with engine_errors():
            for asked in filter(None, (self._fleet.files.holder(name), name)):
                remove(self._fleet.api, asked)
        self._fleet.files.drop(name)

    async def close(self) -> None:
        """See `Driver.close`."""
        for running in list(self._running.values()):
            await asyncio.to_thread(running.stop)
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(self._fleet.close)

    def contained(self, profile: Profile) -> bool:
        """True: no profile has a network, and a container has no other way out."""
        return True
