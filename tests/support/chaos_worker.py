"""A worker as `interlock worker ROLE` runs it, that kills itself at a named point once a file says so.

Whoever wants a death writes FOLDER/POINT; the first worker that comes to the point takes the file and dies there.
FOLDER/clock.NAME holds seconds by which this worker's clock is wrong. The product knows nothing of this: what is
hooked is the boundary of the ledger and the sandbox, from outside.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import time_machine

from interlock.audit import Ledger
from interlock.run.deciding import Deciding
from interlock.run.observing import CallObserver
from interlock.run.serve import RoleName, serve
from interlock.sandbox import DockerDriver
from interlock.settings import Settings

POINTS = {
    "before_reservation": "the call is judged and not reserved",
    "after_reservation": "the call is reserved and its container not asked for",
    "in_container": "the tool runs and has had no effect",
    "request_noted": "the tool's request is on record and has not left",
    "effect_made": "the tool runs and has had its effect",
    "after_effect": "the container has told its result, and it is not stored",
    "before_result": "the result is stored, and the workflow does not know",
    "deciding": "a graph worker decides",
}
"""Where a worker can be made to die."""
_LOOK_EVERY_S = 0.1
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class Traps:
    """Where this process dies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def at(self, point: str, about: str) -> None:
        """Die here, if that is asked for. Renaming gives the file to one process only."""
        taken = self._folder / f"{point}.taken"
        with suppress(FileNotFoundError):
            os.rename(self._folder / point, taken)
            taken.write_text(f"{os.getpid()} {about}")
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)  # until the signal has come


def hook(traps: Traps) -> None:
    """Put every point where it belongs."""
    _around(Ledger, "reserve", before=lambda self, wish: traps.at("before_reservation", wish.call_id))
    _around(Ledger, "reserve", after=lambda done, self, wish: _reserved(traps, done, wish))
    _around(Ledger, "complete", after=lambda done, self, call_id, *rest: traps.at("before_result", call_id))
    _around(Ledger, "leaving", after=lambda done, self, call_id, record: traps.at("request_noted", call_id))
    _around(CallObserver, "output", before=lambda self, stream, data: _printed(traps, self, data))
    _around(Deciding, "_decide", before=lambda self, request, *rest: traps.at("deciding", request.call_id))
    run = DockerDriver.run

    async def ran(self: Any, call: Any, *rest: Any) -> Any:
        result = await run(self, call, *rest)
        traps.at("after_effect", call.call_id)
        return result

    DockerDriver.run = ran  # type: ignore[method-assign]


def _reserved(traps: Traps, done: Any, wish: Any) -> None:
    if done.state == "reserved":
        traps.at("after_reservation", wish.call_id)


def _printed(traps: Traps, observer: Any, data: bytes) -> None:
    """The tools of tests/chaos print `begun` before their effect, and `done` after it."""
    for word, point in ((b"begun", "in_container"), (b"done", "effect_made")):
        if word in data:
            traps.at(point, observer._call_id)


def _around(
    owner: Any, name: str, *, before: Callable[..., None] | None = None, after: Callable[..., None] | None = None
) -> None:
    inner = getattr(owner, name)

    def outer(*arguments: Any, **named: Any) -> Any:
        if before is not None:
            before(*arguments)
        done = inner(*arguments, **named)
        if after is not None:
            after(done, *arguments)
        return done

    setattr(owner, name, outer)


def keep_time(file: Path) -> None:
    """Follow the file: how many seconds this process' wall clock is wrong by. Its monotonic clock goes on, as it
    does when the clock of a machine is set."""
    traveller: Any = None
    said = ""
    while True:
        with suppress(FileNotFoundError):
            wanted = file.read_text().strip()
            if wanted != said:
                if traveller is not None:
                    traveller.stop()
                traveller, said = None, wanted
                if float(wanted or 0):
                    traveller = time_machine.travel(time.time() + float(wanted), tick=True)
                    traveller.start()
        threading.Event().wait(_LOOK_EVERY_S)


def work(role: RoleName, name: str, folder: Path, environment: dict[str, str], log: Path) -> None:
    """Serve a role until SIGTERM, in a process that was forked for it."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # as the environment says, from now on
    with log.open("ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(environment["INTERLOCK_ROOT"])
    hook(Traps(folder))
    threading.Thread(target=keep_time, args=(folder / f"clock.{name}",), daemon=True).start()
    code = 1
    try:
        asyncio.run(serve(role, Settings(), lambda text: print(text, flush=True)))
        code = 0
    except BaseException:
        traceback.print_exc()
    os._exit(code)  # as the command line does: see interlock.cli.main
