"""The codec: packs each payload and seals it with the key of its run.

A sealed payload has the encoding `il1`; its data is the id of the run's key (8 bytes, random, no secret) and what
`interlock.encryption.Cipher` made of the packed payload, bound to the run. The id lets the codec server open a
payload that names no run; a payload that was moved to another run still does not open there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec, SerializationContext, WithSerializationContext

from interlock.encryption import Cipher, bound
from interlock.errors import IntegrityError, InterlockError, Refused, Unreachable
from interlock.run.payloads.keys import Vault
from interlock.run.payloads.packing import pack, unpack
from interlock.run.payloads.refusal import refusal
from interlock.run.payloads.scope import scope_of

ENCODING: Final = b"il1"
ID_BYTES: Final = 8
_PURPOSE: Final = "interlock.payload"
_LARGE: Final = 64 * 1024
"""From here on a thread packs and seals, so that a worker does not stand still meanwhile."""


class RunCodec(PayloadCodec, WithSerializationContext):
    """Seals and opens the payloads of one run; without a context, of none."""

    def __init__(self, vault: Vault, *, scope: str = "") -> None:
        """Args:
        vault: where the keys are.
        scope: whose payloads.
        """
        self._vault, self._scope = vault, scope

    def with_context(self, context: SerializationContext) -> RunCodec:
        """See base class."""
        return RunCodec(self._vault, scope=scope_of(context))

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Seal.

        Raises:
            Refused: the payloads belong to no run.
            Erased: the run's key was erased. Unreachable: keys cannot be had.
        """
        if not payloads:
            return []
        if not self._scope:
            raise Refused("a payload that belongs to no workflow has no key to be sealed with")
        cipher = self._vault.keys.cipher(self._scope)
        return [await _done(sealed, one, cipher) for one in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Open. What may not be opened becomes a refusal, which raises where the value is used.

        Raises:
            Unreachable: keys cannot be had now; the same payloads may open later.
        """
        return [await self._opened(one) for one in payloads]

    async def _opened(self, payload: Payload) -> Payload:
        try:
            cipher = key_of(payload, self._vault)
            if cipher.scope != self._scope:
                here = f"run {self._scope!r}" if self._scope else "nobody's run"
                raise IntegrityError(f"a payload of run {cipher.scope!r} came to {here}: it was moved there")
            return await _done(opened, payload, cipher)
        except Unreachable:
            raise
        except InterlockError as error:
            return refusal(error)


class PlainCodec(RunCodec):
    """Where payloads are not encrypted: seals nothing, opens what was sealed before."""

    def with_context(self, context: SerializationContext) -> PlainCodec:
        """See base class."""
        return PlainCodec(self._vault, scope=scope_of(context))

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Leave them as they are."""
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Open those that are sealed."""
        return [await self._opened(one) if is_sealed(one) else one for one in payloads]


def is_sealed(payload: Payload) -> bool:
    """Whether a codec of ours sealed it."""
    return payload.metadata.get("encoding") == ENCODING


def sealed(payload: Payload, cipher: Cipher) -> Payload:
    """The payload, packed and sealed."""
    data = cipher.id + cipher.seal(pack(payload), bound(_PURPOSE, cipher.scope))
    return Payload(metadata={"encoding": ENCODING}, data=data)


def opened(payload: Payload, cipher: Cipher) -> Payload:
    """The payload that was sealed.

    Raises:
        IntegrityError: altered, or not one of this key's run.
    """
    return unpack(cipher.open(payload.data[ID_BYTES:], bound(_PURPOSE, cipher.scope)))


def key_of(payload: Payload, vault: Vault) -> Cipher:
    """The key that a sealed payload names.

    Raises:
        IntegrityError: it is not sealed, or there is no such key.
        Erased: its run's content was erased. Unreachable: keys cannot be had.
    """
    if not is_sealed(payload):
        encoding = payload.metadata.get("encoding", b"").decode(errors="replace")
        raise IntegrityError(
            f"a payload that is not encrypted (encoding {encoding!r}) is not taken: anybody may have written it",
            next_step="write to runs through interlock; or see payload_encryption in the settings",
        )
    return vault.keys.by_id(payload.data[:ID_BYTES])


async def _done(work: Callable[[Payload, Cipher], Payload], payload: Payload, cipher: Cipher) -> Payload:
    if len(payload.data) < _LARGE:
        return work(payload, cipher)
    return await asyncio.to_thread(work, payload, cipher)
