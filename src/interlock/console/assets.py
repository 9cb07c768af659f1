"""The console's own scripts, style and picture: files of the package, each named with its digest."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from interlock.digest import digest_bytes

FOLDER: Final = Path(__file__).parent / "static"
"""Served under /static."""


@cache
def asset(name: str) -> str:
    """Where a page finds a file: another address whenever its bytes change."""
    version = digest_bytes((FOLDER / name).read_bytes()).removeprefix("sha256:")[:16]
    return f"/static/{name}?v={version}"
