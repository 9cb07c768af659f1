"""What each running process says of itself: a file for each, which counts as long as the process lives."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

_TRIES: Final = 3
Report = TypeVar("Report", bound=BaseModel)


class Reporter:
    """Keeps this process's report in a folder, locked while the process lives.

    Nothing depends on a report, so a folder that cannot be written is no reason to stop.
    """

    def __init__(self, folder: Path, role: str) -> None:
        self._descriptor = -1
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{role}-{socket.gethostname()}-{os.getpid()}.json"
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            weakref.finalize(self, os.close, self._descriptor)
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def say(self, report: BaseModel) -> None:
        """Replace what it says."""
        if self._descriptor < 0:
            return
        data = report.model_dump_json().encode()
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor, data, 0)
            os.ftruncate(self._descriptor, len(data))


def read_reports(folder: Path, model: type[Report]) -> Iterator[Report]:
    """What the living processes say. Files of dead ones are removed."""
    for path in sorted(folder.glob("*.json")):
        with contextlib.suppress(OSError), path.open("rb") as file:
            if _is_free(file.fileno()):
                path.unlink(missing_ok=True)
                continue
            yield from _read(file, model)


def _read(file: Any, model: type[Report]) -> Iterator[Report]:
    for _ in range(_TRIES):  # it may be half written
        file.seek(0)
        with contextlib.suppress(ValidationError):
            yield model.model_validate_json(file.read())
            return


def _is_free(descriptor: int) -> bool:
    """Whether nobody holds the lock, which the kernel lets go of however a process ends."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
