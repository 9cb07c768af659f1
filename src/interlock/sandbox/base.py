"""The base of a sandbox image where no registry answers: Debian packages, from the machine's own APT sources."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import docker

from interlock.errors import InterlockError, InvalidInput, SandboxUnavailable
from interlock.sandbox.engine import engine_errors

_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# APT itself reads the sources, in whichever format they are written; this names what it found.
_TARGETS: Final = "$(ORIGIN)|$(COMPONENT)|$(RELEASE)|$(REPO_URI)"
_LEFT_OUT: Final = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
_BUILD_S: Final = 900
_NO_PACKAGE: Final = re.compile(
    r"Unable to locate package (\S+)|Package '?([^\s']+)'? has no installation|Version '.*' for '(\S+)' was not"
)


def sources() -> list[str]:
    """APT lines of Debian's own main component, as this machine has them.

    Raises:
        SandboxUnavailable: there are none.
    """
    command = ["apt-get", "indextargets", "--format", _TARGETS, "Created-By: Packages"]
    found = _run(command, "list the APT sources")
    signed = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
    rows = [line.split("|") for line in found.splitlines()]
    lines = [
        f"deb {signed}{uri} {release} main"
        for origin, component, release, uri in rows
        if (origin, component) == ("Debian", "main") and release.startswith(codename())
    ]
    if not lines:
        raise SandboxUnavailable(
            f"APT knows no Debian {codename()} main packages", next_step="run `apt-get update` and try again"
        )
    return sorted(set(lines))


def codename() -> str:
    """The release of this machine: `bookworm`."""
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "")


def build_base(
    api: docker.APIClient, repository: str, tag: str, packages: Mapping[str, str], say: Callable[[str], None]
) -> None:
    """Make a root of `packages` and import it as `repository:tag`.

    Args:
        api: the engine.
        repository: name of the base images.
        tag: of this one.
        packages: each with the place that asks for it.
        say: gets a line now and then.

    Raises:
        InvalidInput: Debian has no such package; names the place.
        SandboxUnavailable: mmdebstrap is missing or failed; the end of its output is quoted.
    """
    if shutil.which("mmdebstrap") is None:
        next_step = "install it with `apt-get install mmdebstrap`, or set INTERLOCK_BASE_IMAGE to an image you have"
        raise SandboxUnavailable("mmdebstrap is not installed", next_step=next_step)
    _check_known(packages)
    with tempfile.TemporaryDirectory(prefix="interlock-base-") as folder:
        tar = Path(folder) / "root.tar"
        say(f"building a base from Debian {codename()} packages: {', '.join(packages)}")
        excludes = [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
        command = ["mmdebstrap", "--variant=apt", f"--include={','.join(packages)}", *excludes]
        try:
            _run([*command, codename(), str(tar), *sources()], "build the base")
        except SandboxUnavailable as error:
            raise _explained(error, packages) from error
        say(f"importing the base, {tar.stat().st_size // 2**20} MiB")
        with engine_errors():
            api.import_image_from_file(str(tar), repository=repository, tag=tag)


def _check_known(packages: Mapping[str, str]) -> None:
    """Ask APT first: mmdebstrap would take a minute to find out."""
    names = {text.partition("=")[0]: place for text, place in packages.items()}
    rows = _run(["apt-cache", "madison", *names], "look up the packages").splitlines()
    known = {row.partition("|")[0].strip() for row in rows}
    for name, place in names.items():
        if name not in known:
            raise _no_package(name, place)


def _no_package(name: str, place: str) -> InvalidInput:
    return InvalidInput(
        f"{place}: Debian {codename()} main has no package {name!r}, or not in that version",
        next_step=f"see `apt-cache policy {name}`; correct the line, or take it out",
    )


def _explained(error: SandboxUnavailable, packages: Mapping[str, str]) -> InterlockError:
    """A package that Debian does not have is the list's fault, and not the engine's."""
    missing = _NO_PACKAGE.search(error.reason)
    if missing is None:
        return error
    name = next(filter(None, missing.groups()))
    place = next((where for text, where in packages.items() if text.partition("=")[0] == name), "the image's list")
    return _no_package(name, place)


def _run(command: list[str], purpose: str) -> str:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_BUILD_S,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxUnavailable(f"cannot {purpose}: {error}") from error
    if done.returncode:
        raise SandboxUnavailable(
            f"cannot {purpose}: {command[0]} ended with {done.returncode}: {done.stderr[-2000:]}"
        )
    return done.stdout
