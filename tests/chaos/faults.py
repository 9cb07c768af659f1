"""The closed list of what goes wrong: each fault is done to the world, and undone."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from chaos.world import EXECUTORS, GRAPHS, Store, World
from support.chaos_worker import POINTS

MET_S = 60
"""A point at which a worker is to die is come to within so long."""
LOCKED_S = 11.5
"""Longer than a writer waits for SQLite (interlock.database.store.BUSY_TIMEOUT_S)."""
JUMPS_S = (-26 * 3600, -2 * 3600, -240, 240, 2 * 3600, 26 * 3600)
ANY: tuple[str, ...] = ("writer", "payer", "booker", "publisher", "ponderer", "clerk")
GOES_OUT: tuple[str, ...] = ("payer", "booker", "publisher", "clerk")


@dataclass(frozen=True)
class Fault:
    """One kind of fault."""

    name: ClassVar[str]
    happens_to: ClassVar[tuple[Store, ...]] = ("sqlite", "postgres")
    suits: ClassVar[tuple[str, ...]] = ANY
    """Agents whose runs it can meet."""

    async def inject(self, world: World, random: Random) -> str:
        """Do it; returns what exactly was done. The runs that it is to meet have been started."""
        raise NotImplementedError

    async def heal(self, world: World) -> None:
        """Undo it. Workers that died are started again by the world itself."""


def _kill_at(point: str, agents: tuple[str, ...]) -> type[Fault]:
    class Kill(Fault):
        name = point
        suits = agents

        async def inject(self, world: World, random: Random) -> str:
            taken = world.traps / f"{point}.taken"
            taken.unlink(missing_ok=True)
            (world.traps / point).touch()
            for _ in range(int(MET_S / 0.05)):
                if taken.exists() and (said := taken.read_text()):
                    return f"killed {said}"
                await asyncio.sleep(0.05)
            (world.traps / point).unlink(missing_ok=True)
            raise AssertionError(f"no worker came to {point!r} ({POINTS[point]})")

    Kill.__doc__ = f"SIGKILL of a worker: {POINTS[point]}."
    return Kill


class KilledWorkers(Fault):
    """SIGKILL of workers wherever they are: one, both of a role, or all."""

    name = "workers_killed"

    async def inject(self, world: World, random: Random) -> str:
        names = random.choice(((random.choice(EXECUTORS),), (random.choice(GRAPHS),), GRAPHS, EXECUTORS + GRAPHS))
        await asyncio.sleep(random.uniform(0, 2))
        for name in names:
            world.parts.parts[name].kill()
        return f"killed {' '.join(names)}"


class TemporalRestart(Fault):
    """SIGKILL of the Temporal server, which is started again on the same file and port."""

    name = "temporal_restarted"

    async def inject(self, world: World, random: Random) -> str:
        part, pause = world.parts.parts["temporal"], random.uniform(0, 8)
        await asyncio.sleep(random.uniform(0, 2))
        part.down = True
        part.kill()
        await asyncio.sleep(pause)
        return f"down for {pause:.1f} s"

    async def heal(self, world: World) -> None:
        world.parts.parts["temporal"].down = False
        await world.until_temporal_answers()


class EngineRestart(Fault):
    """The Docker engine ends, in good order or by SIGKILL, and is started again."""

    name = "engine_restarted"

    async def inject(self, world: World, random: Random) -> str:
        number = random.choice((signal.SIGKILL, signal.SIGTERM))
        await asyncio.sleep(random.uniform(0.5, 2))
        await asyncio.to_thread(world.engine.stop, number)
        return number.name

    async def heal(self, world: World) -> None:
        await asyncio.to_thread(world.engine.start)


class PostgresRestart(Fault):
    """PostgreSQL breaks every connection at once, and recovers when it is started again."""

    name = "postgres_restarted"
    happens_to = ("postgres",)

    async def inject(self, world: World, random: Random) -> str:
        assert world.database is not None
        pause = random.uniform(0, 4)
        await asyncio.sleep(random.uniform(0, 2))
        await asyncio.to_thread(world.database.stop)
        await asyncio.sleep(pause)
        return f"down for {pause:.1f} s"

    async def heal(self, world: World) -> None:
        assert world.database is not None
        await asyncio.to_thread(world.database.start)


class DiskFull(Fault):
    """Not a byte more can be written where ledger and blobs are."""

    name = "disk_full"
    happens_to = ("sqlite",)

    async def inject(self, world: World, random: Random) -> str:
        await asyncio.sleep(random.uniform(0, 1))
        with (world.disk / "filler").open("ab", buffering=0) as filler:
            for size in (1 << 20, 4096, 1):
                _until_full(lambda size=size: filler.write(bytes(size)))  # type: ignore[misc]
        await asyncio.sleep(4)
        return f"{os.statvfs(world.disk).f_bavail} blocks were free"

    async def heal(self, world: World) -> None:
        (world.disk / "filler").unlink()


class SqliteLocked(Fault):
    """Another process writes to the ledger for longer than a writer waits."""

    name = "sqlite_locked"
    happens_to = ("sqlite",)

    async def inject(self, world: World, random: Random) -> str:
        await asyncio.to_thread(self._hold, world)
        return f"for {LOCKED_S} s"

    def _hold(self, world: World) -> None:
        held = sqlite3.connect(world.disk / "ledger.db", timeout=30, isolation_level=None)
        try:
            held.execute("BEGIN EXCLUSIVE")
            time.sleep(LOCKED_S)
            held.execute("ROLLBACK")
        finally:
            held.close()


class ClockJump(Fault):
    """The wall clock of one worker is set, and set right again."""

    name = "clock_jumped"

    async def inject(self, world: World, random: Random) -> str:
        name, jump = random.choice((*EXECUTORS, *GRAPHS)), random.choice(JUMPS_S)
        (world.traps / f"clock.{name}").write_text(str(jump))
        await asyncio.sleep(random.uniform(4, 8))
        return f"{name} by {jump:+} s"

    async def heal(self, world: World) -> None:
        for file in world.traps.glob("clock.*"):
            file.write_text("0")


def _until_full(write: Callable[[], object]) -> None:
    try:
        while write():
            pass
    except OSError:
        return


FAULTS: dict[str, type[Fault]] = {
    one.name: one
    for one in (
        _kill_at("before_reservation", ANY),
        _kill_at("after_reservation", ANY),
        _kill_at("in_container", ANY),
        _kill_at("request_noted", GOES_OUT),
        _kill_at("effect_made", ANY),
        _kill_at("after_effect", ANY),
        _kill_at("before_result", ANY),
        _kill_at("deciding", ANY),
        KilledWorkers,
        TemporalRestart,
        EngineRestart,
        PostgresRestart,
        DiskFull,
        SqliteLocked,
        ClockJump,
    )
}
"""By name; nothing else goes wrong here."""
