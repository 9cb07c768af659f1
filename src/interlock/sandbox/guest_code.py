"""The files of the image that are ours: the runner, and the authoring API as the module `interlock`."""

from __future__ import annotations

from pathlib import Path

from interlock.definitions import tool
from interlock.digest import digest_of
from interlock.sandbox import guest
from interlock.types import Digest


def guest_code() -> dict[str, bytes]:
    """Path under /opt/interlock → content."""
    folder = Path(guest.__file__).parent
    code = {f"guest/{path.relative_to(folder)}": path.read_bytes() for path in sorted(folder.rglob("*.py"))}
    # The folder is started as a program, which needs this file at its top.
    code["__main__.py"] = code.pop("guest/__main__.py")
    code["interlock.py"] = Path(tool.__code__.co_filename).read_bytes()
    return code


def guest_digest() -> Digest:
    """Changes whenever anything changes that runs inside."""
    return digest_of([[path, content.decode()] for path, content in sorted(guest_code().items())])
