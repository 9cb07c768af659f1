"""Who wraps data keys: the port to a file, the environment, or a key management service.

A service (AWS KMS, Google Cloud KMS, Azure Key Vault, HashiCorp Vault Transit) is a class of one's own package that
has these three methods, takes no arguments, and is named by an entry point:

    [project.entry-points."interlock.key_providers"]
    aws = "our_keys:AwsKeys"

    [tool.interlock]
    data_key_provider = "aws"

`wrap` and `unwrap` are a service's Encrypt and Decrypt; `context` is its encryption context or associated data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

ENTRY_POINTS: Final = "interlock.key_providers"


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A data key, encrypted by a key that never leaves its provider."""

    key_id: str
    """The wrapping key, version included."""
    data: bytes


@runtime_checkable
class KeyProvider(Protocol):
    """Wraps data keys. Called from threads, by every process that reads or writes content."""

    def current(self) -> str:
        """Id of the key that `wrap` uses now; another one after a rotation.

        Raises:
            Unreachable: there is no key, or the provider does not answer.
        """
        ...

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        """`key` encrypted under the current key; it unwraps only with the same `context`.

        Raises:
            Unreachable: there is no key, or the provider does not answer.
        """
        ...

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        """The data key again.

        Raises:
            Unreachable: the provider does not answer, or no longer has the wrapping key.
            IntegrityError: altered, or wrapped for another context.
        """
        ...
