"""Which provider the settings name. Others than ours are installed packages: no file of a project is imported."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

from interlock.encryption.environment_keys import EnvironmentKeys
from interlock.encryption.file_keys import FileKeys
from interlock.encryption.provider import ENTRY_POINTS, KeyProvider
from interlock.errors import InvalidInput

BUILT_IN = ("file", "environment")


def key_provider(name: str, folder: Path) -> KeyProvider:
    """The provider `name`; its keys are first looked for when one is needed.

    Args:
        name: `file`, `environment`, or an entry point in group `interlock.key_providers`.
        folder: of the provider `file`.

    Raises:
        InvalidInput: there is no such provider, or it is none.
    """
    if name == "file":
        return FileKeys(folder)
    if name == "environment":
        return EnvironmentKeys()
    return _installed(name)


def _installed(name: str) -> KeyProvider:
    found = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name not in found:
        known = ", ".join((*BUILT_IN, *sorted(found)))
        raise InvalidInput(f"data_key_provider: there is no {name!r}", next_step=f"known: {known}")
    try:
        made = found[name].load()()
    except Exception as error:  # whatever another package raises when it is imported or made
        raise InvalidInput(f"data_key_provider: {name!r} does not load: {type(error).__name__}: {error}") from error
    if not isinstance(made, KeyProvider):
        raise InvalidInput(f"data_key_provider: {name!r} gives a {type(made).__name__}, which is no KeyProvider")
    return made
