"""A container with its runner waiting: created, attached, started, its door checked. It serves, then is gone."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, Final

import docker
import docker.errors
import requests

from interlock.errors import Conflict, SandboxUnavailable
from interlock.sandbox import door, options
from interlock.sandbox.engine import engine_errors
from interlock.sandbox.guest import frames
from interlock.sandbox.owner import own_id
from interlock.sandbox.replies import Ready, read_reply
from interlock.sandbox.stream import DeadlinePassed, OverCap, Stream, StreamEnded
from interlock.types import Profile

START_S: Final = 30
SLACK_S: Final = 180
"""Seconds that starting, sending and collecting may take beside the tool's own time."""
_START_CAP: Final = 256 * 1024


class Container:
    """One container. Whoever opens it destroys it."""

    def __init__(self, api: docker.APIClient, ident: str, stream: Stream) -> None:
        self._api = api
        self.ident = ident
        self.stream = stream
        self.facts: dict[str, Any] = {}
        """What the runner saw of its cage."""

    @classmethod
    def open(
        cls,
        api: docker.APIClient,
        profile: Profile,
        *,
        image: str,
        name: str,
        labels: dict[str, str] | None = None,
        cgroup_v1: bool,
    ) -> Container:
        """Start a container and wait for its runner.

        Raises:
            Conflict: one of that name exists.
            SandboxUnavailable: no engine, no image, or a control does not hold. No tool was sent.
        """
        lifetime = profile.time_s + SLACK_S
        every = {
            options.LABEL: own_id(),
            options.LABEL_EXPIRES: str(int(time.time()) + lifetime),
            **(labels or {}),
        }
        arguments = options.container(
            api, profile, image=image, name=name, labels=every, lifetime_s=lifetime, cgroup_v1=cgroup_v1
        )
        with engine_errors():
            ident = _create(api, arguments)
            one = cls(api, ident, Stream(_attach(api, ident)))
            return one._started()

    def _started(self) -> Container:
        try:
            self._api.start(self.ident)
            self.stream.deadline, self.stream.cap = time.monotonic() + START_S, _START_CAP
            reply, _ = read_reply(self.stream)
            if not isinstance(reply, Ready):
                raise SandboxUnavailable(f"the runner refused to serve: {getattr(reply, 'error', reply)}")
            self._check(reply)
        except (StreamEnded, DeadlinePassed, OverCap, frames.FrameError) as error:
            reason = f"the sandbox did not start: {error}. {self.stream.stderr}".strip()
            self.destroy()
            raise SandboxUnavailable(reason, next_step="see `interlock sandbox doctor`") from error
        except BaseException:
            self.destroy()
            raise
        return self

    def _check(self, reply: Ready) -> None:
        self.facts = reply.facts
        open_doors = [f"{c.name}: {c.observed}" for c in door.from_inside(reply.facts) if not c.ok]
        if reply.version != frames.VERSION:
            open_doors.append(f"runner speaks protocol {reply.version}, the engine {frames.VERSION}")
        if open_doors:
            reason = "the sandbox does not hold, so nothing runs in it: " + "; ".join(open_doors)
            raise SandboxUnavailable(reason, next_step="see `interlock sandbox doctor`")

    def inspect(self) -> dict[str, Any]:
        """What the engine says of it."""
        with engine_errors():
            found: dict[str, Any] = self._api.inspect_container(self.ident)
            return found

    def out_of_memory(self, since: float) -> bool:
        """Whether the kernel killed it for memory. Asked of the engine's events: the container may be gone."""
        filters = {"container": [self.ident], "event": ["oom"]}
        with suppress(docker.errors.DockerException, requests.RequestException):
            found = self._api.events(since=int(since), until=int(time.time()) + 1, filters=filters, decode=True)
            return any(True for _ in found)
        return False

    def destroy(self) -> None:
        """Kill it and wait until it is gone."""
        # First the stream: an engine that waits for us to read cannot kill.
        self.stream.close()
        remove(self._api, self.ident)


def _create(api: docker.APIClient, arguments: dict[str, Any]) -> str:
    try:
        ident: str = api.create_container(**arguments)["Id"]
    except docker.errors.APIError as error:
        if error.status_code == requests.codes.conflict:
            reason = f"this call already has a container, {arguments['name']!r}"
            raise Conflict(
                reason, next_step="`interlock sandbox clean` removes what a dead executor left"
            ) from error
        raise
    return ident


def _attach(api: docker.APIClient, ident: str) -> Any:
    try:
        return api.attach_socket(ident, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    except BaseException:
        remove(api, ident)
        raise


def remove(api: docker.APIClient, ident: str) -> bool:
    """Remove a container with force and wait until it is gone; whether this call removed it."""
    try:
        api.remove_container(ident, force=True, v=True)
    except docker.errors.NotFound:
        return False
    except docker.errors.APIError as error:
        if error.status_code != requests.codes.conflict:
            raise
        # Removal is under way; the engine tells when it is done.
        with suppress(docker.errors.NotFound):
            api.wait(ident, timeout=START_S, condition="removed")
    return True
