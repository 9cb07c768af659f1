"""Wrapping keys that this process holds itself: what file and environment have in common."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from interlock.digest import digest_bytes
from interlock.encryption.cipher import KEY_BYTES, Cipher
from interlock.encryption.provider import Wrapped
from interlock.errors import IntegrityError, InvalidInput, Unreachable


def key_id(version: int, key: bytes) -> str:
    """A version's id: with a print of the key, so that version 1 of another installation is not taken for ours."""
    return f"{version}.{digest_bytes(b'interlock wrapping key' + key).removeprefix('sha256:')[:12]}"


def written(key: bytes) -> str:
    """A key as people store it."""
    return base64.b64encode(key).decode("ascii")


def read(text: str, *, source: str) -> bytes:
    """The key of a text.

    Raises:
        InvalidInput: it is none; the message names `source` and never the text.
    """
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(f"{source}: not base64") from error
    if len(key) != KEY_BYTES:
        raise InvalidInput(f"{source}: a key has {KEY_BYTES} bytes, this one {len(key)}")
    return key


@dataclass(frozen=True)
class LocalKeys:
    """Versions of a wrapping key, by id, one of them current."""

    current: str
    ciphers: Mapping[str, Cipher]

    @classmethod
    def of(cls, versions: Mapping[int, bytes], current: int) -> LocalKeys:
        """From version number to key."""
        ids = {version: key_id(version, key) for version, key in versions.items()}
        return cls(ids[current], {ids[version]: Cipher(key) for version, key in versions.items()})

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        """See `KeyProvider.wrap`."""
        return Wrapped(self.current, self.ciphers[self.current].seal(key, context))

    def unwrap(self, wrapped: Wrapped, context: bytes, *, source: str) -> bytes:
        """See `KeyProvider.unwrap`; `source` is where a missing key should be."""
        cipher = self.ciphers.get(wrapped.key_id)
        if cipher is None:
            raise Unreachable(
                f"data key: wrapping key {wrapped.key_id!r} is not in {source}",
                next_step="restore that version of the key; without it the content cannot be read",
            )
        try:
            return cipher.open(wrapped.data, context)
        except IntegrityError as error:
            raise IntegrityError(
                f"a wrapped data key does not open under {wrapped.key_id!r}: it was altered or is another run's"
            ) from error
