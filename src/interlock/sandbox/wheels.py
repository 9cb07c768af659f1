"""Wheels for an image, fetched on the host and recorded by digest: the build itself has no network."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name, parse_wheel_filename

from interlock.digest import digest_bytes
from interlock.errors import InvalidInput, SandboxUnavailable
from interlock.sandbox.image_python import ImagePython
from interlock.sandbox.lists import REQUIREMENTS

LOCK: Final = "requirements.lock"
_INSTALLER: Final = "# Installed by "
_PINNED: Final = re.compile(r"[A-Za-z0-9._-]+==\S+ --hash=sha256:[0-9a-f]{64}")
_NOT_FOUND: Final = re.compile(r"No matching distribution found for (\S+)")
_FETCH_S: Final = 600


def wheels_for(
    folder: Path, wanted: Mapping[str, str], python: ImagePython, say: Callable[[str], None]
) -> dict[str, bytes]:
    """The wheels of an image's requirements.txt as files of its build: `wheels/…`.

    What requirements.lock records is fetched again and nothing else. Where it is missing, or was made from another
    requirements.txt or for another Python, the requirements are resolved and it is written.

    Args:
        folder: the image's.
        wanted: its requirements, each with its place.
        python: what the wheels must fit.
        say: gets a line now and then.

    Raises:
        InvalidInput: a requirement cannot be had as a wheel, or the lock is spoiled.
        SandboxUnavailable: pip failed otherwise.
    """
    with tempfile.TemporaryDirectory(prefix="interlock-wheels-") as kept:
        places = {name: Path(kept) / name for name in ("wheels", "installer")}
        header = _header(folder, python)
        lock = folder / LOCK
        if lock.is_file() and lock.read_text("utf-8").startswith(header):
            say(f"fetching the wheels that {folder.name}/{LOCK} records")
            _fetch_again(lock, python, places)
        else:
            say(f"resolving {folder.name}/{REQUIREMENTS} for {python}")
            _resolve(list(wanted), wanted, python, places)
            lock.write_text(header + _record(places), "utf-8")
        return _files(lock, places)


def _header(folder: Path, python: ImagePython) -> str:
    made_from = digest_bytes((folder / REQUIREMENTS).read_bytes())
    return (
        f"# Made by `interlock sandbox build` from {REQUIREMENTS} {made_from}, for {python}.\n"
        "# Keep it under version control: builds take these wheels and no others. Remove it to take newer ones.\n"
    )


def _resolve(lines: list[str], wanted: Mapping[str, str], python: ImagePython, places: dict[str, Path]) -> None:
    _pip(places["installer"], ["pip"], python, wanted, "--no-deps")
    _pip(places["wheels"], lines, python, wanted)


def _record(places: dict[str, Path]) -> str:
    """The lines of the lock that name what was fetched."""
    installer = [_pinned(path) for path in sorted(places["installer"].glob("*.whl"))]
    return "\n".join(
        [
            *(_INSTALLER + line for line in installer),
            *(_pinned(p) for p in sorted(places["wheels"].glob("*.whl"))),
            "",
        ]
    )


def _pinned(wheel: Path) -> str:
    name, version, *_ = parse_wheel_filename(wheel.name)
    return f"{canonicalize_name(name)}=={version} --hash={digest_bytes(wheel.read_bytes())}"


def _fetch_again(lock: Path, python: ImagePython, places: dict[str, Path]) -> None:
    lines = lock.read_text("utf-8").splitlines()[2:]
    installer = [line.removeprefix(_INSTALLER) for line in lines if line.startswith(_INSTALLER)]
    pinned = [line for line in lines if not line.startswith("#")]
    for line in (*installer, *pinned):
        if not _PINNED.fullmatch(line):
            raise InvalidInput(f"{lock}: {line!r} is no pinned wheel", next_step="remove the file and build again")
    for place, given in (("installer", installer), ("wheels", pinned)):
        _pip(places[place], given, python, {}, "--no-deps", "--require-hashes")


def _files(lock: Path, places: dict[str, Path]) -> dict[str, bytes]:
    wheels = {f"wheels/{path.name}": path.read_bytes() for path in places["wheels"].glob("*.whl")}
    installer = next(places["installer"].glob("*.whl")).read_bytes()
    return {**wheels, "wheels/pip.whl": installer, f"wheels/{LOCK}": lock.read_bytes()}


def _pip(place: Path, lines: list[str], python: ImagePython, wanted: Mapping[str, str], *flags: str) -> None:
    """Fetch wheels, and only wheels: nothing is built or run on this host."""
    place.mkdir()
    asked = place / "asked.txt"
    asked.write_text("\n".join(lines) + "\n", "utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--only-binary=:all:", "--dest", str(place), "--requirement", str(asked), *python.options(), *flags]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_FETCH_S, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxUnavailable(f"cannot fetch wheels: {error}") from error
    if done.returncode:
        raise _explained(done.stderr, wanted, python)


def _explained(said: str, wanted: Mapping[str, str], python: ImagePython) -> InvalidInput | SandboxUnavailable:
    missing = _NOT_FOUND.search(said)
    if missing is None:
        errors = [line for line in said.splitlines() if not line.startswith("WARNING")]
        return SandboxUnavailable(
            f"cannot fetch wheels: {' '.join(errors)[-2000:]}",
            next_step="see pip's configuration: `pip config list`",
        )
    name = missing[1]
    place = next((where for text, where in wanted.items() if text.replace(" ", "") == name), "")
    return InvalidInput(
        f"{place or 'a requirement of the image'}: the package index has no wheel of {name!r} that fits {python}",
        next_step="correct the name or version; one that has no wheels can only come from Debian or with the base",
    )
