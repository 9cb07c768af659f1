"""A container with its runner waiting: created, attached, started, its door checked. It serves, then is gone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import docker
import docker.errors
import requests

from interlock.errors import Conflict, SandboxUnavailable
from interlock.sandbox import door, options
from interlock.sandbox.checks import failed
from interlock.sandbox.engine import engine_errors
from interlock.sandbox.engine_objects import attach, conflict, create, remove
from interlock.sandbox.guest import frames
from interlock.sandbox.owner import own_id
from interlock.sandbox.replies import Claimed, Ready, read_reply
from interlock.sandbox.runtimes import check_runtime, require_runtime
from interlock.sandbox.stream import DeadlinePassed, OverCap, Stream, StreamEnded
from interlock.types import Profile

START_S: Final = 30
SLACK_S: Final = 180
"""Seconds that starting, sending and collecting may take beside the tool's own time."""
_START_CAP: Final = 256 * 1024
_CLAIM_S: Final = 5


_SOON_S: Final = 0.01


class Gone(Exception):
    """A container that waited is no longer there, or does not answer. No tool was sent to it."""


class Container:
    """One container. Whoever opens it destroys it."""

    def __init__(
        self, api: docker.APIClient, ident: str, stream: Stream, *, name: str, way_out: Path | None = None
    ) -> None:
        self._api = api
        self.ident = ident
        self.stream = stream
        self.name = name
        self._naming: Future[Conflict | None] | None = None
        self.way_out = way_out
        """The host's folder that it sees at /run/interlock; it goes with the container."""
        self.since = time.monotonic()
        self.memory_kib = 0
        """What it used when it was ready, or when its last call had ended, by its control group."""
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
        cgroup_v1: bool,
        waits_s: int = 0,
        way_out: Path | None = None,
        told: Callable[[dict[str, Any]], None] | None = None,
    ) -> Container:
        """Start a container and wait for its runner.

        Args:
            api: the engine.
            profile: its limits.
            image: the engine's id.
            name: refused if another has it.
            cgroup_v1: which control groups the engine has.
            waits_s: its time runs only when a call claims it, and until then it lives while it hears from its host;
                by all that it is over after so many seconds. 0: its time runs from now on.
            way_out: mount this folder of the host.
            told: gets what the runner saw, before that is judged.

        Raises:
            Conflict: one of that name exists.
            SandboxUnavailable: no engine, no image, or a control does not hold. No tool was sent.
        """
        lifetime = profile.time_s + SLACK_S
        every = {
            options.LABEL: own_id(),
            options.LABEL_EXPIRES: str(int(time.time()) + (waits_s or lifetime)),
            **({options.LABEL_WAY_OUT: str(way_out)} if way_out else {}),
        }
        arguments = options.container(
            api,
            profile,
            image=image,
            name=name,
            labels=every,
            lifetime_s=0 if waits_s else lifetime,
            cgroup_v1=cgroup_v1,
            way_out=way_out,
        )
        require_runtime(api, profile)
        with engine_errors():
            ident = create(api, arguments)
            try:
                stream = Stream(attach(api, ident))
            except BaseException:
                remove(api, ident)
                raise
            one = cls(api, ident, stream, name=name, way_out=way_out)
            return one._started(profile, told)

    @classmethod
    def attach(cls, api: docker.APIClient, ident: str, name: str) -> Container:
        """Take over a running container of another process.

        Raises:
            SandboxUnavailable: the engine does not answer.
            Gone: it ended in this moment.
        """
        with engine_errors():
            try:
                attached = attach(api, ident)
            except (docker.errors.NotFound, docker.errors.APIError) as error:
                raise Gone(str(error)) from error
        return cls(api, ident, Stream(attached), name=name)

    def _started(self, profile: Profile, told: Callable[[dict[str, Any]], None] | None) -> Container:
        try:
            self._api.start(self.ident)
            self.stream.deadline, self.stream.cap = time.monotonic() + START_S, _START_CAP
            reply, _ = read_reply(self.stream)
            if not isinstance(reply, Ready):
                reason = f"the runner refused to serve: {getattr(reply, 'error', reply.kind)!r}"
                raise SandboxUnavailable(reason, next_step="see `interlock sandbox doctor`")
            if told is not None:
                told(reply.facts)
            self._check(reply, profile)
        except (StreamEnded, DeadlinePassed, OverCap, frames.FrameError) as error:
            reason = f"the sandbox did not start: {error}. {self.stream.stderr}".strip()
            self.destroy()
            raise SandboxUnavailable(reason, next_step="see `interlock sandbox doctor`") from error
        except BaseException:
            self.destroy()
            raise
        return self

    def _check(self, reply: Ready, profile: Profile) -> None:
        self.facts, self.memory_kib = reply.facts, reply.memory_kib
        open_doors = failed(door.from_inside(reply.facts, profile))
        if reply.version != frames.VERSION:
            open_doors += f"; runner speaks protocol {reply.version}, the engine {frames.VERSION}"
        if open_doors:
            reason = "the sandbox does not hold, so nothing runs in it: " + open_doors.removeprefix("; ")
            raise SandboxUnavailable(reason, next_step="see `interlock sandbox doctor`")
        if profile.runtime:
            check_runtime(profile, reply.facts, self.inspect())

    def claim(self, name: str, call_id: str, lifetime_s: float, *, later: Executor | None = None) -> None:
        """Make it the one container of a call: the engine gives a name to one container only.

        Args:
            name: made from the call's id.
            call_id: which call it is for.
            lifetime_s: after this the container ends, whatever its host does.
            later: the call is known to have no other container on this host, so that it need not wait for the
                engine, which is asked here meanwhile; `named` tells the answer.

        Raises:
            Conflict: another container has that name. This one has served nothing and can be claimed for another.
            Gone: it cannot be used.
        """
        self.stream.deadline, self.stream.cap = time.monotonic() + _CLAIM_S, self.stream.received + _START_CAP
        try:
            self.stream.send(frames.pack({"kind": "claim", "call": call_id, "lifetime_s": lifetime_s}))
            # The runner answers while the engine renames.
            taken = None
            if later is not None:
                self._naming, self.name = later.submit(self._rename_soon, name), name
            elif name != self.name:
                taken = self._rename(name)
            reply, _ = read_reply(self.stream)
        except (StreamEnded, DeadlinePassed, OverCap, frames.FrameError) as error:
            raise Gone(str(error)) from error
        if not isinstance(reply, Claimed) or reply.call != call_id:
            raise Gone(f"answers {reply.kind!r} when claimed")
        if taken is not None:
            raise taken

    def named(self, *, wait: bool = True) -> Conflict | None:
        """Why the engine did not give the call's name to this container; None: it did, or has not answered yet.

        Args:
            wait: for its answer.
        """
        naming = self._naming
        if naming is None or not (wait or naming.done()):
            return None
        self._naming = None
        try:
            return naming.result()
        except Gone:
            return None  # whoever follows the call sees that, too

    def _rename_soon(self, name: str) -> Conflict | None:
        # Most calls are over by then, and have had the cores.
        time.sleep(_SOON_S)
        return self._rename(name)

    def _rename(self, name: str) -> Conflict | None:
        try:
            self._api.rename(self.ident, name)
        except docker.errors.APIError as error:
            if error.status_code == requests.codes.conflict and "already in use" in str(error.explanation):
                return conflict(name)
            raise Gone(str(error)) from error
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise Gone(str(error)) from error
        self.name = name
        return None

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
        """Kill it and wait until it is gone.

        Raises:
            SandboxUnavailable: the engine does not answer. The container ends by itself when nobody speaks to it.
        """
        # First the stream: an engine that waits for us to read cannot kill.
        self.stream.close()
        try:
            with engine_errors():
                remove(self._api, self.ident)
        finally:
            if self.way_out is not None:
                shutil.rmtree(self.way_out, ignore_errors=True)
