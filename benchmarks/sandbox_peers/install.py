"""What the peers need: an environment of its own for each, and `docker compose` where the machine lacks it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from interlock.sandbox.base import codename, sources

REQUIREMENTS = Path(__file__).with_name("requirements")
COMPOSE_RELEASE = "trixie"
"""The first Debian release whose docker-compose is of version 2."""


class Missing(Exception):
    """A peer cannot be measured here; says why."""


def environment(folder: Path, name: str) -> Path:
    """The Python of a peer's virtual environment; made at the first run, and when its requirements have changed."""
    wanted = REQUIREMENTS / f"{name}.txt"
    place, stamp = folder / name, folder / name / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted.read_text():
        shutil.rmtree(place, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(place)])
        _run([str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "-r", str(wanted)])
        stamp.write_text(wanted.read_text())
    return place / "bin" / "python"


def packages(folder: Path, name: str, python: str) -> Path:
    """A folder with what `requirements/NAME.txt` names, for an image whose Python is of this version."""
    wanted = REQUIREMENTS / f"{name}.txt"
    place = folder / f"{name}-in-image"
    stamp = place / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted.read_text() + python:
        shutil.rmtree(place, ignore_errors=True)
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--only-binary=:all:",
            f"--python-version={python}",
        ]
        _run([*pip, f"--target={place}", "-r", str(wanted)])
        stamp.write_text(wanted.read_text() + python)
    return place


def installed(python: Path, package: str) -> str:
    """The version of a package in that environment."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return _run([str(python), "-c", code]).strip()


def compose(folder: Path) -> dict[str, str]:
    """Environment variables with which `docker compose` works.

    Raises:
        Missing: it is not there and cannot be had.
    """
    if not shutil.which("docker"):
        raise Missing("no docker command line")
    given = {"DOCKER_CONFIG": str(folder / "docker-config")}
    for variables in ({}, given):
        command = ["docker", "compose", "version"]
        if not subprocess.run(
            command, capture_output=True, env={**os.environ, **variables}, check=False
        ).returncode:
            return variables
    _compose_from_debian(folder, Path(given["DOCKER_CONFIG"]) / "cli-plugins")
    return given


def _compose_from_debian(folder: Path, plugins: Path) -> None:
    """Debian's package of a later release, unpacked beside the benchmark: nothing of the system changes."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb") or not codename():
        raise Missing(f"no docker compose; nor is this a Debian that could fetch {COMPOSE_RELEASE}'s")
    apt = folder / "apt"
    for part in ("lists/partial", "archives/partial"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    lines = [
        line.replace(f" {codename()} ", f" {COMPOSE_RELEASE} ") for line in sources() if f" {codename()} " in line
    ]
    (apt / "sources.list").write_text("\n".join(lines) + "\n")
    private = {
        "Dir::State::Lists": apt / "lists",
        "Dir::Cache": apt,
        "Dir::Etc::SourceList": apt / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Status": "/dev/null",
        "APT::Sandbox::User": "root",
    }
    get = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in private.items())]
    try:
        _run([*get, "update"])
        _run([*get, "download", "docker-compose"], cwd=apt)
        _run(["dpkg-deb", "-x", str(next(apt.glob("docker-compose_*.deb"))), str(apt / "unpacked")])
        plugins.mkdir(parents=True, exist_ok=True)
        binary = next(
            path
            for path in (apt / "unpacked").rglob("docker-compose")
            if os.access(path, os.X_OK) and path.is_file()
        )
        shutil.copy2(binary, plugins / "docker-compose")
    except (Missing, StopIteration) as error:
        raise Missing(f"no docker compose, and none from Debian {COMPOSE_RELEASE}: {error}") from error
    finally:
        shutil.rmtree(apt, ignore_errors=True)


def _run(command: list[str], cwd: Path | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    if done.returncode:
        raise Missing(
            f"{Path(command[0]).name} {command[1]} ended with {done.returncode}: {done.stderr.strip()[-400:]}"
        )
    return done.stdout
