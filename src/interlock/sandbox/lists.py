"""What an image adds by a list: Debian packages in packages.txt, wheels of PyPI in requirements.txt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement

from interlock.errors import InvalidInput

PACKAGES: Final = "packages.txt"
REQUIREMENTS: Final = "requirements.txt"
_DEBIAN_NAME: Final = re.compile(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+:~-]+)?")


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    """Each line that says something, with its place: `images/sandbox/packages.txt:3`."""
    if not file.is_file():
        return
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        text = line.partition(" #")[0].strip()
        if text and not text.startswith("#"):
            yield text, f"images/{file.parent.name}/{file.name}:{number}"


def debian_packages(folder: Path) -> dict[str, str]:
    """Name → place of the Debian packages that an image lists.

    Raises:
        InvalidInput: a line is no name of a package.
    """
    found = {}
    for text, place in _lines(folder / PACKAGES):
        if not _DEBIAN_NAME.fullmatch(text):
            raise InvalidInput(
                f"{place}: {text!r} is no name of a Debian package", next_step="write one name a line: `jq`"
            )
        found[text] = place
    return found


def requirements(folder: Path) -> dict[str, str]:
    """Requirement → place of the Python packages that an image lists.

    Raises:
        InvalidInput: a line is no requirement by name, such as an option, a path or an address.
    """
    found = {}
    for text, place in _lines(folder / REQUIREMENTS):
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            reason = f"{place}: {text!r} is no requirement: {str(error).splitlines()[0]}"
            raise InvalidInput(reason, next_step="write one a line: `httpx>=0.27`") from error
        if requirement.url:
            raise InvalidInput(f"{place}: {text!r} names an address", next_step="name a package of the index")
        found[text] = place
    return found
