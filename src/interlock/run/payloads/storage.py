"""Large payloads live among the blobs of their run; Temporal's history holds a reference.

The SDK stores after the codec has sealed, and opens after it has fetched: what lies here is sealed already, and a
reference that was altered or moved leads to bytes that do not open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.api.sdk.v1.external_storage_pb2 import ExternalStorageReference
from temporalio.converter import (
    ExternalStorage,
    SerializationContext,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    WithSerializationContext,
)

from interlock.errors import IntegrityError, InterlockError, Unreachable
from interlock.run.payloads.codec import ID_BYTES, is_sealed
from interlock.run.payloads.keys import Vault
from interlock.run.payloads.refusal import refusal
from interlock.run.payloads.scope import scope_of

NAME: Final = "il"
THRESHOLD: Final = 32 * 1024
"""Bytes, sealed, from which on a payload is kept here. Temporal's own limit is 2 MB a payload, and it copies each
history whole for every replay."""


def external_storage(vault: Vault) -> ExternalStorage:
    """The SDK's configuration of it."""
    return _references(RunStorage(vault))


def _references(driver: RunStorage) -> References:
    return References(drivers=[driver], payload_size_threshold=THRESHOLD)


class References(ExternalStorage, WithSerializationContext):
    """The SDK's storage, except that a reference which anybody made up is refused like any other payload. The SDK
    raises, and so fails the whole workflow task for good."""

    def with_context(self, context: SerializationContext) -> References:
        """The storage of the run that the context names."""
        (driver,) = self.drivers
        assert isinstance(driver, RunStorage)
        return _references(driver.of(scope_of(context)))

    def _get_driver_by_name(self, name: str) -> StorageDriver:
        return self._driver_map.get(name) or self.drivers[0]

    def _decode_reference(self, payload: Payload) -> ExternalStorageReference | None:
        try:
            return super()._decode_reference(payload)
        except Exception:  # whatever a parser says of bytes that anybody wrote
            return None


class RunStorage(StorageDriver):
    """Keeps payloads by digest among the blobs of their run. A claim holds the digest and the id of the run's key,
    which says whose blobs they are; where payloads are not encrypted, the run's id."""

    def __init__(self, vault: Vault, run: str = "") -> None:
        """Use the blobs of `vault`, for payloads of `run`."""
        self._vault, self._of = vault, run

    def of(self, run: str) -> RunStorage:
        """The storage of a run."""
        return RunStorage(self._vault, run)

    def name(self) -> str:
        """See base class."""
        return NAME

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Keep payloads.

        Raises:
            LedgerUnavailable: the blob store cannot be written.
        """
        return [await asyncio.to_thread(self._stored, one) for one in payloads]

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """The payloads of claims. What is not there becomes a refusal, which raises where the value is used.

        Raises:
            Unreachable: the blob store cannot be read now.
        """
        return [await asyncio.to_thread(self.fetched, one.claim_data) for one in claims]

    def fetched(self, claim: Mapping[str, str]) -> Payload:
        """The payload of one claim, which anybody may have written; or a refusal that says why there is none.

        Raises:
            Unreachable: the blob store cannot be read now.
        """
        try:
            return Payload.FromString(self._vault.blobs(self._run(claim)).get(claim.get("d", "")))
        except Unreachable:
            raise
        except InterlockError as error:
            return refusal(error)
        except (DecodeError, ValueError) as error:
            return refusal(IntegrityError(f"a reference to a large payload is none: {error}"))

    def _run(self, claim: Mapping[str, str]) -> str:
        if "k" in claim:
            return self._vault.keys.by_id(bytes.fromhex(claim["k"])).scope
        return claim.get("r", "")

    def _stored(self, payload: Payload) -> StorageDriverClaim:
        if is_sealed(payload):
            id = payload.data[:ID_BYTES]
            owner, run = {"k": id.hex()}, self._vault.keys.by_id(id).scope
        else:
            run = self._of
            owner = {"r": run}
        return StorageDriverClaim({**owner, "d": self._vault.blobs(run).put(payload.SerializeToString())})
