"""Which Python an image has, and so which wheels fit it. The image is asked: a container of it says so and ends."""

from __future__ import annotations

import json
from typing import Final, NamedTuple

import docker

from interlock.errors import SandboxUnavailable
from interlock.sandbox.glance import glance

_ASK: Final = (
    "import json, os, platform, sys\n"
    "libc = os.confstr('CS_GNU_LIBC_VERSION') if 'CS_GNU_LIBC_VERSION' in os.confstr_names else ''\n"
    "print(json.dumps([list(sys.version_info[:2]), platform.machine(), libc or '']))"
)
_ANSWER_S: Final = 60
_OLDEST_GLIBC: Final = 5
_MUSL: Final = ("musllinux_1_2", "musllinux_1_1")


class ImagePython(NamedTuple):
    """A Python as far as wheels are concerned."""

    version: str
    machine: str
    libc: str

    def __str__(self) -> str:
        return f"Python {self.version} on {self.machine}, {self.libc or 'musl'}"

    def options(self) -> list[str]:
        """pip's options that ask for wheels of this Python, newest platform first."""
        found = ["--implementation", "cp", "--python-version", self.version]
        for platform in self._platforms():
            found += ["--platform", f"{platform}_{self.machine}"]
        return found

    def _platforms(self) -> list[str]:
        if not self.libc.startswith("glibc 2."):
            return [*_MUSL, "linux"]
        newest = int(self.libc.removeprefix("glibc 2.").partition(".")[0])
        numbered = [f"manylinux_2_{minor}" for minor in range(newest, _OLDEST_GLIBC - 1, -1)]
        return [*numbered, "manylinux2014", "manylinux2010", "manylinux1", "linux"]


def python_of(api: docker.APIClient, image: str) -> ImagePython:
    """Ask an image for its `python3`.

    Raises:
        SandboxUnavailable: the engine or the image has none.
    """
    with glance(api, image, ["python3", "-I", "-c", _ASK]) as ident:
        api.start(ident)
        code = api.wait(ident, timeout=_ANSWER_S)["StatusCode"]
        said = api.logs(ident).decode("utf-8", "replace")
    if code:
        raise SandboxUnavailable(
            f"base image {image!r} has no `python3` that answers: {said[-500:]}",
            next_step="set INTERLOCK_BASE_IMAGE to an image with Python 3.11 or later",
        )
    version, machine, libc = json.loads(said.splitlines()[-1])
    return ImagePython(".".join(map(str, version)), machine, libc)
