"""Payloads as people may see them: what the codec server does, without its HTTP."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic_core import to_json
from temporalio.api.common.v1 import Payload
from temporalio.api.sdk.v1.external_storage_pb2 import ExternalStorageReference
from temporalio.converter import JSONProtoPayloadConverter

from interlock.errors import InterlockError, Unreachable
from interlock.run.payloads.access import ReadClaims, may_see
from interlock.run.payloads.codec import is_sealed, key_of, opened
from interlock.run.payloads.keys import Vault
from interlock.run.payloads.refusal import REFUSED
from interlock.run.payloads.storage import NAME, RunStorage

_REFERENCE: Final = ExternalStorageReference.DESCRIPTOR.full_name.encode()


@dataclass(frozen=True)
class Shown:
    """What a person gets to see."""

    payloads: list[Payload]
    """Each one opened, or a sentence that says why it is not."""
    runs: Counter[str]
    """How many were opened, by run: for the log."""


async def shown(payloads: Sequence[Payload], vault: Vault, claims: ReadClaims) -> Shown:
    """Open what `claims` allow.

    Raises:
        Unreachable: keys or blobs cannot be had now.
    """
    return await asyncio.to_thread(_shown, payloads, vault, claims)


def _shown(payloads: Sequence[Payload], vault: Vault, claims: ReadClaims) -> Shown:
    runs: Counter[str] = Counter()
    return Shown([_one(payload, vault, claims, runs) for payload in payloads], runs)


def _one(payload: Payload, vault: Vault, claims: ReadClaims, runs: Counter[str]) -> Payload:
    try:
        payload = _fetched(payload, vault)
        if not is_sealed(payload):
            return _sentence(payload.data.decode()) if _refused(payload) else payload
        cipher = key_of(payload, vault)
        may_see(claims, cipher.scope)
        found = opened(payload, cipher)
    except Unreachable:
        raise
    except InterlockError as error:
        return _sentence(str(error))
    runs[cipher.scope] += 1
    return found


def _fetched(payload: Payload, vault: Vault) -> Payload:
    """A large payload from where it is kept; any other as it is."""
    if payload.metadata.get("messageType") != _REFERENCE:
        return payload
    reference = JSONProtoPayloadConverter().from_payload(payload, ExternalStorageReference)
    if reference.driver_name != NAME:
        return payload
    return RunStorage(vault).fetched(reference.claim_data)


def _refused(payload: Payload) -> bool:
    return payload.metadata.get("encoding") == REFUSED.encode()


def _sentence(text: str) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=to_json(f"not shown: {text}"))
