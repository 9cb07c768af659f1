"""Brings a machine to where one `make` target can run. Standard library only: it runs before anything is installed.

Usage: setup.sh check | dev | demo | test
Exit codes: 0 ready, 2 usage, 3 something is missing (what, and the command that mends it, on stderr).
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import debian
import engine
import environment
import sandbox
from machine import Machine
from report import Missing, complain, say

ROOT = Path(__file__).resolve().parents[2]
RUN = (debian.GIT, debian.AUTHORITIES)
PACKAGES = {
    "check": (),
    "dev": RUN,
    "demo": RUN,
    "test": (*RUN, debian.POSTGRESQL, debian.COMPOSE, debian.CRUN, debian.HAPROXY, debian.CHROMIUM),
}


def main(arguments: list[str]) -> int:
    """Prepare for the target that is named."""
    if len(arguments) != 1 or arguments[0] not in PACKAGES:
        print(f"usage: setup.sh {' | '.join(PACKAGES)}", file=sys.stderr)
        return 2
    started = time.monotonic()
    try:
        with _alone(ROOT / ".state" / "set-up.lock"):
            prepare(arguments[0], Machine.here())
    except Missing as missing:
        complain(missing)
        return 3
    say(f"ready for {arguments[0]} ({time.monotonic() - started:.1f} s)")
    return 0


def prepare(target: str, machine: Machine) -> None:
    """Every step that the target needs, in order; a step that is done already does nothing."""
    packages = [*PACKAGES[target]]
    if target == "check":
        environment.prepare(ROOT)
        return
    up = engine.is_up(machine)
    if not up:
        packages += [debian.ENGINE, debian.IPTABLES]
    if not os.environ.get("INTERLOCK_BASE_IMAGE"):
        packages.append(debian.BASE)
    debian.install(debian.missing(packages, machine), machine)
    environment.prepare(ROOT)
    if not engine.is_up(machine):
        engine.start(machine)
    debian.provide_lists(machine)
    sandbox.build(ROOT)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One set-up at a time in this folder."""
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
