"""All containers of one driver: pools by shape, leases by run, what keeps them alive and what removes them."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import docker

from interlock.sandbox.call import SandboxCall
from interlock.sandbox.claim_files import ClaimFiles
from interlock.sandbox.claiming import Claims
from interlock.sandbox.cleaning import IDLE_NAME, Reaper
from interlock.sandbox.container import Container
from interlock.sandbox.egress import EgressProxy, standard_secrets
from interlock.sandbox.engine import MAX_CALLS, connect, engine_errors
from interlock.sandbox.lease import Leases
from interlock.sandbox.pool import MAX_WAIT_S, Bounds, Pool
from interlock.sandbox.pulse import Pulse
from interlock.sandbox.removal import Removal
from interlock.sandbox.report import PoolReport, SandboxReport
from interlock.sandbox.running import Running
from interlock.sandbox.self_testing import require_test
from interlock.sandbox.shape import Shape
from interlock.sandbox.way_out_folder import folder_for
from interlock.settings import Settings
from interlock.types import Profile

_FORGET_S: Final = 600
"""A pool that nobody asked to keep ready is closed so long after its last call."""
_REFILLS_AT_ONCE: Final = 2


@dataclass(frozen=True)
class Ahead:
    """What is to be kept ready."""

    profile: Profile
    image: str
    """The engine's id."""
    way_out: bool = False

    @property
    def shape(self) -> Shape:
        """Of the containers that serve it."""
        return Shape.of(self.profile, self.image, way_out=self.way_out)


class Fleet:
    """Starts, keeps and removes containers. Threads of the driver call it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.RLock()
        self._pools: dict[Shape, Pool] = {}
        self._asked_for: set[Shape] = set()
        self._starts = ThreadPoolExecutor(MAX_CALLS, thread_name_prefix="sandbox-start")
        self._turn = threading.Semaphore(_REFILLS_AT_ONCE)
        self.pulse = Pulse()
        self.files = ClaimFiles()
        self.removal = Removal(
            lambda container: self.pulse.remove(container.stream),
            lambda container: self.files.drop(container.name),
        )
        self.leases = Leases(self.removal.now)
        self.claims = Claims(
            self._pool_for,
            self.leases,
            self.removal,
            self.files,
            self._starts,
            shared=lambda: not self.api.base_url.startswith("http+docker:"),
        )
        self.reaper = Reaper(settings.sandbox_reap_s)
        self.pulse.also(self._sweep)

    @property
    def api(self) -> docker.APIClient:
        """The engine.

        Raises:
            SandboxUnavailable: it does not answer.
        """
        # cached_property alone would connect once per thread that comes first.
        with self._lock:
            return self._connected

    @cached_property
    def _connected(self) -> docker.APIClient:
        return connect()

    @cached_property
    def _engine(self) -> tuple[str, bool]:
        with engine_errors():
            info = self.api.info()
        return str(info.get("ID", "")), bool(info.get("CgroupVersion", "1") == "1")

    @cached_property
    def _egress(self) -> EgressProxy:
        return EgressProxy(standard_secrets(self._settings.root))

    @property
    def egress(self) -> EgressProxy:
        """The way out of all calls of this executor."""
        with self._lock:
            return self._egress

    def prepare(self, wanted: Sequence[Ahead]) -> None:
        """Keep these ready, within their profiles' bounds; close the pools of all other shapes."""
        bounds = {one.shape: Bounds(one.profile.warm_min, one.profile.warm_max) for one in wanted}
        with self._lock:
            self._asked_for = set(bounds)
            for shape in set(self._pools) - self._asked_for:
                self._pools.pop(shape).close()
            for shape, given in bounds.items():
                self._pool(shape).keep(given)
        self.reaper.start()

    def _pool_for(self, call: SandboxCall, image: str) -> Pool:
        self.reaper.start()
        shape = Shape.for_call(call, image)
        with self._lock:
            pool = self._pool(shape)
            if shape not in self._asked_for:
                pool.keep(Bounds(call.profile.warm_min, call.profile.warm_max))
        return pool

    def _pool(self, shape: Shape) -> Pool:
        if shape not in self._pools:
            self._pools[shape] = Pool(lambda: self._start(shape), self.removal.now, self._starts.submit, self._turn)
        return self._pools[shape]

    def _start(self, shape: Shape) -> Container:
        engine, cgroup_v1 = self._engine
        require_test(self.api, engine, shape)
        with engine_errors(), folder_for(shape.way_out) as folder:
            container = Container.open(
                self.api,
                shape.limits,
                image=shape.image,
                name=IDLE_NAME + secrets.token_hex(16),
                cgroup_v1=cgroup_v1,
                waits_s=MAX_WAIT_S + shape.lives_s,
                way_out=folder,
            )
        self.pulse.add(container.stream)
        return container

    def _sweep(self) -> None:
        forgotten = time.monotonic() - _FORGET_S
        with self._lock:
            for shape, pool in list(self._pools.items()):
                pool.sweep()
                if shape not in self._asked_for and pool.used < forgotten:
                    self._pools.pop(shape).close()
        self.leases.sweep()

    def report(self, running: Sequence[Running]) -> SandboxReport:
        """What they are doing."""
        with self._lock:
            pools = list(self._pools.items())
        idle = [container for _, pool in pools for container in pool.waiting] + self.leases.idle
        return SandboxReport(
            pools=tuple(_report(shape, pool) for shape, pool in pools),
            serving=len(running),
            leased=len(self.leases.idle),
            idle_bytes=1024 * sum(container.memory_kib for container in idle),
            reaped=self.reaper.removed,
            error=self.reaper.error,
        )

    def close(self) -> None:
        """Destroy all that wait, and let go of the engine. Calls must have ended."""
        self.reaper.stop()
        with self._lock:
            pools = list(self._pools.values())
        for pool in pools:
            pool.close()
        for pool in pools:
            pool.join()
        self.leases.close()
        self._starts.shutdown()
        self.removal.close()
        self.pulse.stop()
        if "_connected" in self.__dict__:
            with suppress(OSError):
                self._connected.close()


def _report(shape: Shape, pool: Pool) -> PoolReport:
    now = time.monotonic()
    return PoolReport(
        profile=shape.limits.name,
        image=shape.image,
        runtime=shape.limits.runtime,
        memory_mib=shape.limits.memory_mib,
        way_out=shape.way_out,
        waiting=len(pool.waiting),
        target=pool.demand.target(now, *pool.bounds),
        warm_min=pool.bounds.lowest,
        warm_max=pool.bounds.highest,
        starting=pool.starting,
        warm=pool.taken,
        cold=pool.cold_starts,
        refills=pool.refills,
        calls_per_minute=round(60 * pool.demand.rate(now)),
        refill_ms=round(1000 * pool.demand.refill_s),
        error=pool.error,
    )
