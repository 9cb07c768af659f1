"""What each running process says about its policy: a file for each, which counts as long as the process lives."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from pydantic import AwareDatetime, ValidationError

from interlock.policy.source import PolicyState
from interlock.settings import Settings
from interlock.types.closed import Closed
from interlock.types.names import Digest

_TRIES: Final = 3


class PolicyReport(Closed):
    """One process and its policy."""

    role: str
    """`executor` or `graph`."""
    host: str
    pid: int
    bundle: Digest
    """The bundle in force there."""
    rules: int
    since: AwareDatetime
    """When it came into force in that process."""
    problem: str = ""
    """Why the files as they are now are not in force there."""
    serial: int = 0
    """Serial number of the signed release; 0: signatures are not demanded there."""


def reports_folder(settings: Settings) -> Path:
    """Where the processes of one machine keep their reports."""
    return settings.state_folder / "policy"


def reporter(folder: Path, role: str) -> Callable[[PolicyState], None]:
    """A listener for a PolicySource that keeps this process's report in `folder`, locked while the process lives.

    Nothing depends on a report, so a folder that cannot be written is no reason to stop: the log has the same.
    """
    host, pid = socket.gethostname(), os.getpid()
    descriptor = -1
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / f"{role}-{host}-{pid}.json", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def report(state: PolicyState) -> None:
        if descriptor < 0:
            return
        said = PolicyReport(
            role=role,
            host=host,
            pid=pid,
            bundle=state.bundle,
            rules=state.rules,
            since=state.since,
            problem=state.problem,
            serial=state.release.serial if state.release else 0,
        )
        data = said.model_dump_json().encode()
        with contextlib.suppress(OSError):
            os.pwrite(descriptor, data, 0)
            os.ftruncate(descriptor, len(data))

    if descriptor >= 0:
        weakref.finalize(report, os.close, descriptor)
    return report


def read_reports(folder: Path) -> list[PolicyReport]:
    """What the living processes say, by role. Files of dead ones are removed."""
    return sorted(_living(folder), key=lambda report: (report.role, report.host, report.pid))


def _living(folder: Path) -> Iterator[PolicyReport]:
    for path in folder.glob("*.json"):
        with contextlib.suppress(OSError), path.open("rb") as file:
            if _is_free(file.fileno()):
                path.unlink(missing_ok=True)
                continue
            for _ in range(_TRIES):  # it may be half written
                file.seek(0)
                with contextlib.suppress(ValidationError):
                    yield PolicyReport.model_validate_json(file.read())
                    break


def _is_free(descriptor: int) -> bool:
    """Whether nobody holds the lock, which the kernel lets go of however a process ends."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
