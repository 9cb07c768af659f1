"""Debian packages: which are needed for what, which are missing, and their installation."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from machine import Machine
from report import Missing, say


@dataclass(frozen=True)
class Package:
    """A Debian package that the project needs."""

    name: str
    """Debian's name of it."""
    why: str
    """What for."""
    present: Callable[[Machine], bool]
    """Whether it, or something as good, is here already."""


def _command(*names: str) -> Callable[[Machine], bool]:
    return lambda machine: all(machine.has(name) for name in names)


def _postgresql(machine: Machine) -> bool:
    """The server's programs; Debian keeps them off PATH."""
    return machine.has("initdb") or any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def _compose(machine: Machine) -> bool:
    """The first generation as a command, or the second as a plugin of Debian's client."""
    plugins = ("/usr/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins")
    return machine.has("docker-compose") or any(Path(folder, "docker-compose").exists() for folder in plugins)


def _haproxy(machine: Machine) -> bool:
    """Debian keeps it off a plain user's PATH."""
    return machine.has("haproxy") or Path("/usr/sbin/haproxy").exists()


def _authorities(machine: Machine) -> bool:
    return Path("/etc/ssl/certs/ca-certificates.crt").exists() or not machine.debian


GIT = Package("git", "the pull request tool and its tests", _command("git"))
AUTHORITIES = Package("ca-certificates", "TLS", _authorities)
ENGINE = Package("docker.io", "the Docker engine", _command("dockerd", "containerd", "runc"))
IPTABLES = Package("iptables", "the Docker engine's networks", _command("iptables"))
BASE = Package("mmdebstrap", "the base image of the sandbox", _command("mmdebstrap"))
POSTGRESQL = Package("postgresql", "the PostgreSQL tests", _postgresql)
COMPOSE = Package("docker-compose", "the tests of docker-compose.yml", _compose)
CRUN = Package("crun", "the tests of runtimes", _command("crun"))
HAPROXY = Package("haproxy", "the tests of the proxy before the engine's socket", _haproxy)
CHROMIUM = Package("chromium", "the tests of the console", _command("chromium"))


def missing(packages: Iterable[Package], machine: Machine) -> list[Package]:
    """The packages that are not here."""
    return [package for package in packages if not package.present(machine)]


def install(packages: list[Package], machine: Machine) -> None:
    """Install packages that are missing.

    Raises:
        Missing: this is not Debian, not root, or apt-get failed.
    """
    if not packages:
        return
    names = " ".join(package.name for package in packages)
    listed = ", ".join(f"{package.name} ({package.why})" for package in packages)
    if not machine.debian or machine.apt_get is None:
        raise Missing(
            f"missing: {listed}. The set-up installs packages only on Debian, with apt-get.",
            f"install what these Debian packages hold with your system's package manager: {names}",
            "make check needs none of them",
        )
    if not machine.root:
        raise Missing(
            f"missing: {listed}. Installing packages needs root, and this is user {machine.user!r}.",
            f"sudo apt-get update && sudo apt-get install -y {names}",
        )
    say(f"installing from Debian: {listed}")
    _apt_get(machine.apt_get, names.split())


def provide_lists(machine: Machine) -> None:
    """Fetch Debian's package lists where there are none: the sandbox's base image is made from them."""
    if not (machine.debian and machine.root and machine.apt_get):
        return
    if not any(Path("/var/lib/apt/lists").glob("*_Packages*")):
        say("fetching Debian's package lists")
        _run([machine.apt_get, "update", "-qq"], {**os.environ})


def _apt_get(apt_get: str, names: list[str]) -> None:
    """Install; where the package lists are absent or old, refresh them and try again."""
    options = ["-y", "-qq", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"]
    command = [apt_get, "install", *options, *names]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if _run(command, environment).returncode == 0:
        return
    say("refreshing Debian's package lists")
    _run([apt_get, "update", "-qq"], environment)
    result = _run(command, environment)
    if result.returncode != 0:
        raise Missing(
            f"apt-get could not install {' '.join(names)}:\n{result.stdout[-2000:].rstrip()}",
            f"apt-get update && apt-get install -y {' '.join(names)}   and read what it says",
        )


def _run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
