"""Builds the images of docker-compose.yml here: from Debian packages and wheels, through the Docker engine's API.

No image registry is needed, and the builds themselves need no network. The names go to .state/images.env, for
`docker-compose --env-file .state/images.env up -d`.
"""

from __future__ import annotations

import argparse
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

from interlock.digest import digest_of
from interlock.errors import InterlockError
from interlock.sandbox.base import build_base, codename

ROOT: Final = Path(__file__).resolve().parents[1]
SERVICES: Final = ROOT / "images" / "services"
WHEELS: Final = ROOT / ".state" / "wheels"
NAMES: Final = ROOT / ".state" / "images.env"
PLATFORMS: Final = (*(f"manylinux_2_{minor}" for minor in (36, 35, 34, 31, 28, 27, 24, 17)), "manylinux2014")
"""Debian 12 has glibc 2.36: wheels for it and for older ones run there and on later releases."""

console = Console(stderr=True)


@dataclass(frozen=True)
class Base:
    """An image made of Debian packages alone."""

    name: str
    """What it is for; part of its image name."""
    packages: tuple[str, ...]
    """What is added to Debian's essential packages."""

    @property
    def repository(self) -> str:
        """Its image name, without the tag."""
        return f"interlock-base-{self.name}"

    @property
    def tag(self) -> str:
        """Another list of packages is another image."""
        made_of = digest_of([codename(), *self.packages]).removeprefix("sha256:")
        return f"{codename()}-{made_of[:12]}"


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
POSTGRESQL: Final = Base("postgresql", ("postgresql", "ca-certificates"))
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
            gather_wheels(client)
        for image in IMAGES:
            if image.folder in wanted:
                build(client, image)
    except (BuildFailed, InterlockError) as error:
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
    base = provide_base(client, image.base)
    with console.status(f"building {image.tag}"), _context(image) as context:
        output: list[str] = []
        steps = client.api.build(
            path=str(context), tag=image.tag, buildargs={"BASE": base}, rm=True, forcerm=True, decode=True
        )
        for step in steps:
            output.append(step.get("stream") or step.get("error") or "")
            if "error" in step:
                raise BuildFailed(f"{image.tag} was not built:\n{''.join(output[-40:])}")
    console.print(f"built {image.tag}")


def provide_base(client: docker.DockerClient, base: Base) -> str:
    """The name of the base image, which is made unless it is there.

    Raises:
        SandboxUnavailable: Debian's packages could not be made into one.
    """
    name = f"{base.repository}:{base.tag}"
    try:
        client.images.get(name)
    except ImageNotFound:
        build_base(client.api, base.repository, base.tag, dict.fromkeys(base.packages, __file__), console.print)
    return name


def gather_wheels(client: docker.DockerClient) -> None:
    """Interlock's wheel, and those of its dependencies for the base image's Python, not for the one that runs this.

    Raises:
        BuildFailed: pip could not make or find one.
    """
    ask = ["python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    base = provide_base(client, PYTHON)
    python = client.containers.run(base, ask, remove=True, network_mode="none").decode().strip()
    with console.status("gathering wheels"):
        pip = [sys.executable, "-m", "pip", "-qq", "--no-input"]
        shutil.rmtree(WHEELS / "interlock", ignore_errors=True)
        _run([*pip, "wheel", "--no-deps", "--wheel-dir", str(WHEELS / "interlock"), str(ROOT)])
        (wheel,) = (WHEELS / "interlock").glob("*.whl")
        fresh = WHEELS / "dependencies.new"
        shutil.rmtree(fresh, ignore_errors=True)
        machine = platform.machine()
        fitting = [f"--platform={platform_tag}_{machine}" for platform_tag in PLATFORMS]
        options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}", *fitting]
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
