"""What each running process says about its policy: a file for each, which counts as long as the process lives."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

from pydantic import AwareDatetime

from interlock import reports
from interlock.policy.source import PolicyState
from interlock.settings import Settings
from interlock.types.closed import Closed
from interlock.types.names import Digest


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
    """A listener for a PolicySource that keeps this process's report in `folder`."""
    host, pid, own = socket.gethostname(), os.getpid(), reports.Reporter(folder, role)

    def report(state: PolicyState) -> None:
        own.say(
            PolicyReport(
                role=role,
                host=host,
                pid=pid,
                bundle=state.bundle,
                rules=state.rules,
                since=state.since,
                problem=state.problem,
                serial=state.release.serial if state.release else 0,
            )
        )

    return report


def read_reports(folder: Path) -> list[PolicyReport]:
    """What the living processes say, by role."""
    found = reports.read_reports(folder, PolicyReport)
    return sorted(found, key=lambda report: (report.role, report.host, report.pid))
