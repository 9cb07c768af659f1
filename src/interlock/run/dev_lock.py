"""One `interlock dev` a project: a lock that the supervisor and all of its parts hold until each has ended."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from interlock.errors import Conflict

PATIENCE_S: Final = 20
"""How long the parts of a killed supervisor may take to end."""
_LOOK_EVERY_S: Final = 0.1


@contextlib.contextmanager
def only_one(folder: Path, say: Callable[[str], None]) -> Iterator[int]:
    """Hold the lock of a state folder; gives the descriptor that each part inherits.

    The kernel lets go of it when the last holder has ended, however it ended. So a new supervisor never meets
    a server that is about to stop.

    Raises:
        Conflict: another supervisor runs.
    """
    descriptor = os.open(folder / "dev.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor, folder, say)
        yield descriptor
    finally:
        os.close(descriptor)


def _take(descriptor: int, folder: Path, say: Callable[[str], None]) -> None:
    end, told = time.monotonic() + PATIENCE_S, False
    while not _free(descriptor):
        supervisor = _supervisor(folder)
        if supervisor is None or _runs(supervisor) or time.monotonic() > end:
            raise Conflict(
                f"another interlock dev serves this project already (process {supervisor or 'unknown'})",
                next_step="stop that one first, with Ctrl-C",
            )
        if not told:
            say("an earlier interlock dev was killed; waiting for its parts to end")
            told = True
        time.sleep(_LOOK_EVERY_S)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _supervisor(folder: Path) -> int | None:
    """The supervisor that wrote the state last."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return int(json.loads((folder / "dev.json").read_bytes())["pid"])
    return None
