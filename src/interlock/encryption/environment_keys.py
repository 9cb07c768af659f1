"""Wrapping keys in the environment: INTERLOCK_DATA_KEYS=`2:BASE64,1:BASE64`, the current version first."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from interlock.encryption.local_keys import LocalKeys, read
from interlock.encryption.provider import Wrapped
from interlock.errors import InvalidInput, Unreachable

VARIABLE: Final = "INTERLOCK_DATA_KEYS"
HOW: Final = f'export {VARIABLE}="1:$(head -c 32 /dev/urandom | base64)" for every process that handles content'


class EnvironmentKeys:
    """Implements `KeyProvider`. To rotate, put a new version first and start the processes again."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._read: LocalKeys | None = None

    def current(self) -> str:
        """See `KeyProvider.current`."""
        return self._keys().current

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        """See `KeyProvider.wrap`."""
        return self._keys().wrap(key, context)

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        """See `KeyProvider.unwrap`."""
        return self._keys().unwrap(wrapped, context, source=VARIABLE)

    def _keys(self) -> LocalKeys:
        if self._read is None:
            self._read = _parsed(self._environment.get(VARIABLE, ""))
        return self._read


def _parsed(text: str) -> LocalKeys:
    """Raises Unreachable where there is nothing, InvalidInput where a part is not `VERSION:KEY`; it says no key."""
    if not text.strip():
        raise Unreachable(f"data keys: {VARIABLE} is not set", next_step=HOW)
    versions: dict[int, bytes] = {}
    for place, part in enumerate(text.split(","), 1):
        version, colon, key = part.strip().partition(":")
        if not (colon and version.isdecimal()) or int(version) in versions:
            raise InvalidInput(
                f"{VARIABLE}: part {place} is not VERSION:KEY with a version of its own", next_step=HOW
            )
        versions[int(version)] = read(key, source=f"{VARIABLE}, version {version}")
    return LocalKeys.of(versions, next(iter(versions)))
