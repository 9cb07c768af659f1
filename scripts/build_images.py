"""Builds the images of docker-compose.yml here: from Debian packages and wheels, through the Docker engine's API.

No image registry is needed, and the builds themselves need no network. The names go to .state/images.env, for
`docker-compose --env-file .state/images.env up -d`.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import docker
from docker.errors import ImageNotFound
from rich.console import Console

ROOT: Final = Path(__file__).resolve().parents[1]
SERVICES: Final = ROOT / "images" / "services"
WHEELS: Final = ROOT / ".state" / "wheels"
NAMES: Final = ROOT / ".state" / "images.env"
SUITE: Final = "bookworm"
BASE_PYTHON: Final = "3.11"
"""The Python of the suite; the dependencies' wheels must fit it, whatever Python runs this script."""
PLATFORMS: Final = (*(f"manylinux_2_{minor}" for minor in (36, 35, 34, 31, 28, 27, 24, 17)), "manylinux2014")
"""The suite's glibc is 2.36: wheels for it and older ones run."""

console = Console(stderr=True)


@dataclass(frozen=True)
class Base:
    """An image made of Debian packages alone."""

    name: str
    """What it is for; part of its image name."""
    packages: tuple[str, ...]
    """What is added to Debian's essential packages."""
    hook: str = ""
    """A shell line that mmdebstrap runs before it installs them; `$1` is the new root."""

    @property
    def tag(self) -> str:
        """Its image name: another list of packages is another image."""
        content = "\n".join((SUITE, *self.packages, self.hook)).encode()
        return f"interlock-base-{self.name}:{SUITE}-{hashlib.sha256(content).hexdigest()[:12]}"


@dataclass(frozen=True)
class Image:
    """An image of one service."""

    setting: str
    """The variable of docker-compose.yml that names it."""
    tag: str
    """Its name here."""
    folder: str
    """Its folder under images/services."""
    base: Base
    """What it is built on."""
    wheels: bool = False
    """Whether its build context holds the wheels."""


PYTHON: Final = Base("python", ("python3", "python3-venv", "ca-certificates"))
POSTGRESQL: Final = Base(
    "postgresql",
    ("postgresql", "ca-certificates"),
    'mkdir -p "$1/etc/postgresql-common"'
    ' && echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.conf"',
)
IMAGES: Final = (
    Image("INTERLOCK_IMAGE", "interlock:local", "interlock", PYTHON, wheels=True),
    Image("INTERLOCK_POSTGRES_IMAGE", "interlock-postgres:local", "postgres", POSTGRESQL),
    Image("INTERLOCK_TEMPORAL_IMAGE", "interlock-temporal:local", "temporal", PYTHON, wheels=True),
)


class BuildFailed(Exception):
    """An image could not be built; the message holds the end of the output."""


def main(arguments: list[str] | None = None) -> int:
    """Build the images that are named, or all of them."""
    folders = [image.folder for image in IMAGES]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=f"some of {', '.join(folders)}; default: all")
    wanted = parser.parse_args(arguments).images or folders
    if unknown := set(wanted) - set(folders):
        parser.error(f"unknown image {sorted(unknown)[0]!r}; there are {', '.join(folders)}")
    client = docker.from_env()
    try:
        if any(image.wheels for image in IMAGES if image.folder in wanted):
            gather_wheels()
        for image in IMAGES:
            if image.folder in wanted:
                build(client, image)
    except BuildFailed as error:
        console.print(str(error), style="red", markup=False)
        return 1
    NAMES.parent.mkdir(exist_ok=True)
    NAMES.write_text("".join(f"{image.setting}={image.tag}\n" for image in IMAGES))
    console.print(f"start the services: docker-compose --env-file {NAMES.relative_to(ROOT)} up -d", soft_wrap=True)
    return 0


def build(client: docker.DockerClient, image: Image) -> None:
    """Build one image; unchanged layers come from the engine's cache.

    Raises:
        BuildFailed: with the end of the build's output.
    """
    provide_base(client, image.base)
    with console.status(f"building {image.tag}"), _context(image) as context:
        output: list[str] = []
        steps = client.api.build(
            path=str(context), tag=image.tag, buildargs={"BASE": image.base.tag}, rm=True, forcerm=True, decode=True
        )
        for step in steps:
            output.append(step.get("stream") or step.get("error") or "")
            if "error" in step:
                raise BuildFailed(f"{image.tag} was not built:\n{''.join(output[-40:])}")
    console.print(f"built {image.tag}")


def provide_base(client: docker.DockerClient, base: Base) -> None:
    """Make the base image, unless it is there.

    Raises:
        BuildFailed: mmdebstrap could not make the root file system.
    """
    try:
        client.images.get(base.tag)
        return
    except ImageNotFound:
        pass
    command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(base.packages)}", "--quiet"]
    command += ["--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"]
    if base.hook:
        command.append(f"--essential-hook={base.hook}")
    with console.status(f"making {base.tag} from Debian packages"), tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "root.tar"
        _run([*command, SUITE, str(archive)])
        repository, _, tag = base.tag.partition(":")
        client.api.import_image_from_file(str(archive), repository=repository, tag=tag)
    console.print(f"made {base.tag}")


def gather_wheels() -> None:
    """Interlock's wheel, and those of its dependencies for the base image's Python.

    Raises:
        BuildFailed: pip could not make or find one.
    """
    with console.status("gathering wheels"):
        pip = [sys.executable, "-m", "pip", "-qq", "--no-input"]
        shutil.rmtree(WHEELS / "interlock", ignore_errors=True)
        _run([*pip, "wheel", "--no-deps", "--wheel-dir", str(WHEELS / "interlock"), str(ROOT)])
        (wheel,) = (WHEELS / "interlock").glob("*.whl")
        fresh = WHEELS / "dependencies.new"
        shutil.rmtree(fresh, ignore_errors=True)
        machine = platform.machine()
        fitting = [f"--platform={platform_tag}_{machine}" for platform_tag in PLATFORMS]
        options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={BASE_PYTHON}", *fitting]
        _run([*pip, "download", *options, "--dest", str(fresh), str(wheel)])
        (fresh / wheel.name).unlink()
        shutil.rmtree(WHEELS / "dependencies", ignore_errors=True)
        fresh.rename(WHEELS / "dependencies")


@contextmanager
def _context(image: Image) -> Iterator[Path]:
    """The folder that is sent to the engine."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(SERVICES / image.folder, folder, dirs_exist_ok=True)
        if image.wheels:
            for part in ("dependencies", "interlock"):
                shutil.copytree(WHEELS / part, Path(folder) / part)
        yield Path(folder)


def _run(command: list[str]) -> None:
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BuildFailed(f"{' '.join(command)} failed:\n{(result.stdout + result.stderr)[-3000:]}")


if __name__ == "__main__":
    sys.exit(main())
