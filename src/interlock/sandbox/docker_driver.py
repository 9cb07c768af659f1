"""One container a call, on a Docker engine."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

import docker

from interlock.errors import Conflict, SandboxUnavailable
from interlock.sandbox import options, request
from interlock.sandbox.call import UNOBSERVED, Observer, SandboxCall, SandboxResult
from interlock.sandbox.container import Container, remove
from interlock.sandbox.engine import BUILD_IMAGE, MAX_CALLS, connect, engine_errors
from interlock.sandbox.images import image_id
from interlock.sandbox.outcome import START_S, Outcome
from interlock.settings import Settings
from interlock.types import Blobs, Profile

_STOP_S: Final = 10


def container_name(call_id: str) -> str:
    """The name of a call's container: the same for every executor, so that the engine refuses a second one."""
    return "interlock-" + hashlib.sha256(call_id.encode()).hexdigest()[:40]


class DockerDriver:
    """Runs each call in a container of its own, which is gone when the result is returned."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(MAX_CALLS, thread_name_prefix="sandbox")
        self._running: dict[str, _Running] = {}
        self._connecting = threading.Lock()

    async def run(self, call: SandboxCall, blobs: Blobs, observer: Observer = UNOBSERVED) -> SandboxResult:
        """See `Driver.run`."""
        if call.call_id in self._running:
            raise Conflict(f"call {call.call_id!r} is running")
        running = self._running[call.call_id] = _Running()
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._run, call, blobs, running)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.to_thread(running.stop)
            await asyncio.wait({work}, timeout=_STOP_S)
            with suppress(BaseException):
                work.exception()
            raise
        finally:
            self._running.pop(call.call_id, None)

    def _run(self, call: SandboxCall, blobs: Blobs, running: _Running) -> SandboxResult:
        """The whole call, in a thread."""
        arguments = request.check(call)
        image = call.image or self._image(call.profile)
        started_at, since = datetime.now(UTC), time.time()
        outcome = Outcome(call, blobs)
        try:
            container = self._open(call, image)
        except SandboxUnavailable:
            if not running.stopped:
                raise
            # Killed while it started: that is an end of the call, not a want of the engine.
            outcome.explain_death(stopped=True, out_of_memory=lambda: False)
            return outcome.result(image=image, started_at=started_at, ended_at=datetime.now(UTC))
        try:
            running.holds(container)
            stream = container.stream
            stream.cap, stream.deadline = outcome.total_cap, time.monotonic() + START_S
            outcome.follow(stream, arguments)
            outcome.explain_death(stopped=running.stopped, out_of_memory=lambda: container.out_of_memory(since))
        finally:
            container.destroy()
        return outcome.result(image=image, started_at=started_at, ended_at=datetime.now(UTC))

    def _open(self, call: SandboxCall, image: str) -> Container:
        return Container.open(
            self._api,
            call.profile,
            image=image,
            name=container_name(call.call_id),
            labels={options.LABEL_RUN: call.run, options.LABEL_CALL: call.call_id},
            cgroup_v1=self._cgroup_v1,
        )

    def _image(self, profile: Profile) -> str:
        found = image_id(self._settings, profile.image)
        if found is None:
            raise SandboxUnavailable(f"sandbox image {profile.image!r} is not built", next_step=BUILD_IMAGE)
        return found

    @property
    def _api(self) -> docker.APIClient:
        # cached_property alone would connect once per thread that comes first.
        with self._connecting:
            return self._connected

    @cached_property
    def _connected(self) -> docker.APIClient:
        return connect()

    @cached_property
    def _cgroup_v1(self) -> bool:
        with engine_errors():
            return bool(self._api.info().get("CgroupVersion", "1") == "1")

    async def resume(
        self, call: SandboxCall, blobs: Blobs, observer: Observer = UNOBSERVED
    ) -> SandboxResult | None:
        """See `Driver.resume`."""
        await self.kill(call.call_id)
        return None

    async def release(self, run: str) -> None:
        """See `Driver.release`."""

    async def kill(self, call_id: str) -> None:
        """See `Driver.kill`."""
        running = self._running.get(call_id)
        if running is not None:
            await asyncio.to_thread(running.stop)
        await asyncio.to_thread(self._remove, container_name(call_id))

    def _remove(self, name: str) -> None:
        with engine_errors():
            remove(self._api, name)

    async def close(self) -> None:
        """See `Driver.close`."""
        for running in list(self._running.values()):
            await asyncio.to_thread(running.stop)
        await asyncio.to_thread(self._threads.shutdown)
        if "_connected" in self.__dict__:
            self._connected.close()

    def contained(self, profile: Profile) -> bool:
        """True: no profile has a network, and a container has no other way out."""
        return True


class _Running:
    """What must be stopped when a call is: known only once its container is there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._container: Container | None = None
        self.stopped = False

    def holds(self, container: Container) -> None:
        """The call has a container now. If it was stopped before, the container's connection is closed at once."""
        with self._lock:
            self._container = container
            if self.stopped:
                container.stream.close()

    def stop(self) -> None:
        """Close the connection: the runner ends every process, and the thread that waits removes the container."""
        with self._lock:
            self.stopped = True
            if self._container is not None:
                self._container.stream.close()
