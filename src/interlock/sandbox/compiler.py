"""Compiles tools/: what each `@tool` function takes and gives, found inside a sandbox and kept by digest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from interlock.definitions import ToolSchema
from interlock.settings import Settings
from interlock.types.access import Closed


class ToolProblem(Closed):
    """Why a source file is no tool."""

    line: int
    """Line of the source file, from 1."""
    message: str


def compile_tools(
    sources: Mapping[str, bytes], settings: Settings, cache: Path
) -> dict[str, ToolSchema | ToolProblem]:
    """Derive each file's schema from its annotations, in one container for all that the cache does not hold.

    Args:
        sources: file name → source.
        settings: which driver and image.
        cache: folder of results, by digest of source, guest code and image id; made if absent.

    Raises:
        SandboxUnavailable: no engine or no image.
    """
    raise NotImplementedError
