"""AES-256-GCM with random nonces: what is sealed opens only whole, unaltered, and for what it was sealed for.

NIST SP 800-38D allows 2**32 messages under one key when nonces are random (then two are equal with a chance below
2**-32), and 2**36 - 32 bytes a message. A run's key seals that run's blobs and payloads alone, each below
`MAX_BYTES`: a run of a million steps seals some ten million messages, a four-hundredth of the limit.
"""

from __future__ import annotations

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from interlock.errors import IntegrityError, InvalidInput

KEY_BYTES: Final = 32
ID_BYTES: Final = 8
FORMAT: Final = b"\x01"
"""First byte of whatever is sealed: which algorithm and layout follow."""
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
OVERHEAD: Final = len(FORMAT) + NONCE_BYTES + TAG_BYTES
"""How much longer sealed bytes are."""
MAX_BYTES: Final = 2**31 - 1 - TAG_BYTES
"""What one call of the library takes."""


def bound(purpose: str, *parts: str) -> bytes:
    """Associated data: what sealed bytes are for. No two different lists give the same bytes.

    Raises:
        InvalidInput: a part holds NUL, which parts them.
    """
    if any("\0" in part for part in (purpose, *parts)):
        raise InvalidInput("associated data: a part must not contain NUL")
    return "\0".join((purpose, *parts)).encode("utf-8", "surrogatepass")


class Cipher:
    """Seals and opens under one data key. Safe to call from threads."""

    def __init__(self, key: bytes, *, id: bytes = b"", scope: str = "") -> None:
        """Use `key`.

        Args:
            key: 32 bytes.
            id: the random id of a run's key; it is no secret.
            scope: the run whose content this is, for messages.
        """
        if len(key) != KEY_BYTES:
            raise InvalidInput(f"a data key has {KEY_BYTES} bytes, not {len(key)}")
        self._aead = AESGCM(key)
        self.id, self.scope = id, scope

    def seal(self, plain: bytes, aad: bytes) -> bytes:
        """`plain` encrypted; opens only with the same `aad`.

        Raises:
            InvalidInput: longer than `MAX_BYTES`.
        """
        if len(plain) > MAX_BYTES:
            raise InvalidInput(f"{len(plain)} bytes cannot be encrypted at once: the limit is {MAX_BYTES}")
        nonce = os.urandom(NONCE_BYTES)
        return FORMAT + nonce + self._aead.encrypt(nonce, plain, FORMAT + aad)

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        """What was sealed for `aad`.

        Raises:
            IntegrityError: altered, sealed under another key, or for something else.
        """
        if len(sealed) < OVERHEAD or sealed[:1] != FORMAT:
            raise IntegrityError(f"{len(sealed)} bytes{self._where()} are not what this version encrypted")
        nonce, rest = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return self._aead.decrypt(nonce, rest, FORMAT + aad)
        except InvalidTag as error:
            raise IntegrityError(
                f"encrypted bytes{self._where()} do not open: they were altered, moved from elsewhere, or "
                "encrypted under another key"
            ) from error

    def _where(self) -> str:
        return f" of run {self.scope!r}" if self.scope else ""

    def __repr__(self) -> str:
        return f"Cipher(id={self.id.hex()!r}, scope={self.scope!r})"  # never the key
