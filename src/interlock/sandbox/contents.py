"""What an image really holds, read out of its files: nothing of it runs."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from email.parser import HeaderParser
from typing import Final, Literal

import docker

from interlock.sandbox.glance import glance
from interlock.types.closed import Closed

_DPKG: Final = re.compile(r"(\./)?var/lib/dpkg/status(\.d/[^/]+)?")
_RELEASE: Final = re.compile(r"(\./)?(etc|usr/lib)/os-release")
_PYTHON: Final = re.compile(r".*\.(dist-info/METADATA|egg-info/PKG-INFO|egg-info)")
_LARGEST: Final = 64 * 1024 * 1024
_CHUNK: Final = 1 << 20


class Package(Closed):
    """One package that is installed in an image."""

    kind: Literal["deb", "pypi"]
    name: str
    version: str
    architecture: str = ""
    """Of a Debian package."""
    source: str = ""
    """The source package that a Debian package was built from, where it has another name."""
    licence: str = ""
    """As the package's own metadata states it; Debian's state none."""
    place: str = ""
    """The folder in the image that says so; empty: dpkg's own records."""


class Contents(Closed):
    """What was found."""

    release: str = ""
    """`debian-12`; empty: not told."""
    packages: tuple[Package, ...] = ()


def contents_of(api: docker.APIClient, image: str) -> Contents:
    """Read dpkg's records and Python's metadata out of an image, through a container that is never started.

    Raises:
        SandboxUnavailable: no engine, or no such image.
    """
    with glance(api, image, ["nothing"]) as ident:
        return _read(io.BufferedReader(_Chunks(api.export(ident, chunk_size=_CHUNK)), _CHUNK))


def _read(stream: io.BufferedReader) -> Contents:
    release = ""
    packages: set[Package] = set()
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for entry in tar:
            if not entry.isreg() or entry.size > _LARGEST:
                continue
            if _DPKG.fullmatch(entry.name):
                packages |= set(_debian(_text(tar, entry)))
            elif _RELEASE.fullmatch(entry.name):
                release = _release(_text(tar, entry)) or release
            elif _PYTHON.fullmatch(entry.name):
                packages |= set(_python(_text(tar, entry), "/" + entry.name.removeprefix("./")))
    in_order = sorted(packages, key=lambda package: (package.kind, package.name, package.version, package.place))
    return Contents(release=release, packages=tuple(in_order))


def _text(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    file = tar.extractfile(entry)
    return file.read().decode("utf-8", "replace") if file else ""


def _debian(text: str) -> Iterator[Package]:
    for paragraph in re.split(r"\n\s*\n", text):
        fields = HeaderParser().parsestr(paragraph)
        name, version = fields.get("Package"), fields.get("Version")
        # Records in status.d, as images without dpkg have them, have no status.
        if name and version and fields.get("Status", "install ok installed").endswith(" installed"):
            yield Package(
                kind="deb",
                name=name.strip(),
                version=version.strip(),
                architecture=fields.get("Architecture", "").strip(),
                source=fields.get("Source", "").partition(" ")[0].strip(),
            )


def _python(text: str, path: str) -> Iterator[Package]:
    fields = HeaderParser().parsestr(text)
    name, version = fields.get("Name"), fields.get("Version")
    if name and version:
        licence = fields.get("License-Expression") or fields.get("License") or ""
        place = path.removesuffix("/METADATA").removesuffix("/PKG-INFO")
        yield Package(kind="pypi", name=name, version=version, licence=licence.strip(), place=place)


def _release(text: str) -> str:
    rows = dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)
    parts = (rows.get(name, "").strip("\"'") for name in ("ID", "VERSION_ID"))
    return "-".join(part for part in parts if part)


class _Chunks(io.RawIOBase):
    """The engine's answer as a file that tarfile can read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill as much of the buffer as the next chunk does."""
        if not self._left:
            self._left = next(self._chunks, b"")
        part, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)
