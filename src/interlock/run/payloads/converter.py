"""The one data converter of every client, worker and replayer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from cachetools import LRUCache
from pydantic import BaseModel
from pydantic_core import to_json
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    EncodingPayloadConverter,
    PayloadConverter,
    SerializationContext,
    StorageDriverStoreContext,
)
from temporalio.exceptions import ApplicationError

from interlock.run.payloads.codec import PlainCodec, RunCodec
from interlock.run.payloads.keys import Vault
from interlock.run.payloads.packing import LARGEST
from interlock.run.payloads.refusal import RefusedPayloads
from interlock.run.payloads.scope import scope_of
from interlock.run.payloads.storage import external_storage

if TYPE_CHECKING:
    from interlock.settings import Settings

_RUNS: Final = 1024
_MARK: Final = "__temporal_external_storage_reference"


@cache
def _shared() -> dict[bytes, EncodingPayloadConverter]:
    whole = PydanticPayloadConverter()
    whole._set_converters(*whole.converters.values(), RefusedPayloads())
    return dict(whole.converters)


class ValueConverter(PydanticPayloadConverter):
    """Pydantic's JSON; says what is too large, and why a refused payload was refused."""

    def __init__(self) -> None:
        """Temporal makes one for each payload; all share what remembers the types that were read before."""
        self.converters = _shared()

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        """See base class.

        Raises:
            ApplicationError: one is larger than `LARGEST`; it names which, and trying again is no use.
        """
        payloads = super().to_payloads(values)
        for value, payload in zip(values, payloads, strict=True):
            if len(payload.data) > LARGEST:
                raise ApplicationError(
                    _too_large(value, len(payload.data)), type="InvalidInput", non_retryable=True
                )
        return payloads


@dataclass(frozen=True)
class RunConverter(DataConverter):
    """The SDK's data converter, except for two things.

    It takes no reference for one because it says that it is: the SDK fails the whole workflow task where a payload
    so marked is none, and marks none itself. And it is made once for each run, not several times for each payload:
    of a context nothing but the run matters here.
    """

    _of_runs: LRUCache[str, RunConverter] = field(
        default_factory=lambda: LRUCache(_RUNS), init=False, repr=False, compare=False
    )
    _lock: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    def with_context(self, context: SerializationContext) -> RunConverter:
        """See base class."""
        run = scope_of(context)
        with self._lock:
            known = self._of_runs.get(run)
        if known is None:
            known = super().with_context(context)
            with self._lock:
                self._of_runs[run] = known
        return known

    def _with_store_context(self, store_ctx: StorageDriverStoreContext) -> RunConverter:
        return self  # `References.with_context` told it whose payloads it keeps

    async def _decode_reference_payload_sequence(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [_unmarked(payload) if _MARK in payload.metadata else payload for payload in payloads]


class FailureConverter(DefaultFailureConverterWithEncodedAttributes):
    """Seals what failures say; takes no details of cancellations, which the server writes itself, and in the clear,
    where an activity was cancelled before it started."""

    def from_failure(self, failure: Failure, payload_converter: PayloadConverter) -> BaseException:
        """See base class."""
        if failure.HasField("canceled_failure_info"):
            failure.canceled_failure_info.ClearField("details")
        return super().from_failure(failure, payload_converter)


def data_converter(settings: Settings) -> DataConverter:
    """The converter of a project; the settings say where keys and blobs are, and whether payloads are encrypted."""
    return converter_of(vault_of(settings), encrypted=settings.payload_encryption)


def vault_of(settings: Settings) -> Vault:
    """The keys and blobs of a project."""
    from interlock.audit import open_blobs

    return Vault(lambda: open_blobs(settings))


def converter_of(vault: Vault, *, encrypted: bool = True) -> DataConverter:
    """The converter over these keys and blobs."""
    codec = RunCodec(vault) if encrypted else PlainCodec(vault)
    return RunConverter(
        payload_converter_class=ValueConverter,
        payload_codec=codec,
        failure_converter_class=FailureConverter,
        external_storage=external_storage(vault),
    )


def _unmarked(payload: Payload) -> Payload:
    metadata = {name: value for name, value in payload.metadata.items() if name != _MARK}
    return Payload(metadata=metadata, data=payload.data)


def _too_large(value: Any, size: int) -> str:
    """Names the value, and the part of it that fills it."""
    fields = dict(value) if isinstance(value, (BaseModel, dict)) else {}
    largest = max(fields, key=lambda name: len(to_json(fields[name])), default=None)
    most = f", most of it in {largest!r}" if largest is not None else ""
    return (
        f"a value of {size} bytes ({type(value).__name__}{most}) cannot travel through Temporal: the limit is "
        f"{LARGEST}. Keep it in a file of the run's workspace and pass its name"
    )
