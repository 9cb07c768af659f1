"""What the set-up needs to know of the machine it runs on."""

from __future__ import annotations

import getpass
import os
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """Facts of one machine; tests make their own."""

    debian: bool
    """Debian or a system derived from it."""
    root: bool
    """Whether this process may install packages and start the engine."""
    apt_get: str | None
    """Path of apt-get; None where there is none."""
    systemd: bool
    """Whether systemd runs services here."""
    user: str
    """Who runs the set-up."""
    path: str
    """Where commands are looked for."""

    @classmethod
    def here(cls) -> Machine:
        """The machine that this runs on."""
        path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/bin", "/bin"))
        return cls(
            debian=Path("/etc/debian_version").exists(),
            root=os.geteuid() == 0,
            apt_get=shutil.which("apt-get"),
            systemd=Path("/run/systemd/system").is_dir(),
            user=_user(),
            path=path,
        )

    def has(self, command: str) -> bool:
        """Whether `command` is installed."""
        return shutil.which(command, path=self.path) is not None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.geteuid())
