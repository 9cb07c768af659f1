"""What passes through Temporal: sealed for one run, opened for no other, large parts elsewhere."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import ActivitySerializationContext, DataConverter
from temporalio.exceptions import ApplicationError, CancelledError

from interlock.audit import SqlBlobs
from interlock.digest import digest_bytes
from interlock.encryption import FileKeys, create_data_keys
from interlock.errors import Erased, IntegrityError, Refused, Unreachable
from interlock.run.contracts import VoteInput
from interlock.run.payloads import bound_to, scope_of
from interlock.run.payloads.converter import converter_of
from interlock.run.payloads.keys import Vault
from interlock.run.payloads.packing import LARGEST, pack, unpack
from interlock.run.payloads.storage import THRESHOLD
from interlock.run.payloads.vocabulary import CURRENT, VOCABULARIES

SECRET = "correct horse battery staple"
MARKED = b"sha256:" + b"01" * 32
PLAIN = b"sha256:" + b"ab" * 32
VOCABULARY_DIGESTS: dict[int, str] = {
    1: "sha256:6a4f1f29223ece828c666206a7d35f9230e56b63f74c55df48262876dc44d928",
}
"""What was released. Never change one: add another."""


@pytest.fixture
def blobs(tmp_path: Path) -> Iterator[SqlBlobs]:
    create_data_keys(tmp_path / "data-keys")
    with closing(SqlBlobs(f"sqlite:///{tmp_path}/blobs.db", FileKeys(tmp_path / "data-keys"))) as store:
        yield store


@pytest.fixture
def converter(blobs: SqlBlobs) -> Callable[..., DataConverter]:
    """The converter, as the SDK binds it to a run."""

    def bound(run: str = "", **options: Any) -> DataConverter:
        made = converter_of(Vault(lambda: blobs), **options)
        return made.with_context(bound_to(run)) if run else made

    return bound


async def opened(converter: DataConverter, payload: Payload) -> Any:
    return (await converter.decode([payload]))[0]


async def sealed(converter: DataConverter, value: Any) -> Payload:
    return (await converter.encode([value]))[0]


# -- packing ---------------------------------------------------------------------------------------------------


@given(st.dictionaries(st.text(max_size=8), st.binary(max_size=8), max_size=3), st.binary(max_size=500))
def test_packed_payload_comes_back(metadata: dict[str, bytes], data: bytes) -> None:
    payload = Payload(metadata=metadata, data=data)
    assert unpack(pack(payload)) == payload


@given(
    st.lists(
        st.one_of(st.binary(max_size=3), st.sampled_from([b"sha256:", MARKED, PLAIN, MARKED[:50]])), max_size=9
    )
)
def test_json_with_digests_comes_back(parts: list[bytes]) -> None:
    """Digests that hold the mark's byte, halves of digests, the mark itself where JSON would not have it."""
    payload = Payload(metadata={"encoding": b"json/plain"}, data=b"".join(parts))
    assert unpack(pack(payload)) == payload


def test_digests_are_packed_as_bytes() -> None:
    """A step's payloads are digests for the most part, and hexadecimal digits deflate to no less than half."""
    digests = [digest_bytes(bytes([number])) for number in range(8)]
    payload = Payload(metadata={"encoding": b"json/plain"}, data=to_json(digests))
    assert len(pack(payload)) < 8 * 40
    assert unpack(pack(payload)) == payload


@pytest.mark.parametrize("data", [b'"sha256:\x01' + b"a" * 64 + b'"', b"\x01" * 40, b'"sha256:' + b"A" * 64 + b'"'])
def test_what_only_looks_like_a_digest_is_kept(data: bytes) -> None:
    payload = Payload(metadata={"encoding": b"json/plain"}, data=data)
    assert unpack(pack(payload)) == payload


@pytest.mark.parametrize("encoding", ["json/plain", "binary/null", "binary/plain", "json/protobuf"])
def test_encoding_costs_one_byte(encoding: str) -> None:
    payload = Payload(metadata={"encoding": encoding.encode()}, data=b"\x00\xff\x17\x80")
    assert unpack(pack(payload)) == payload
    assert len(pack(payload)) <= (5 if encoding != "json/protobuf" else 40)


@pytest.mark.parametrize(
    "packed",
    [b"", b"\x1eabc", b"\x70abc", b"\x11\xff\xff\xff", b'\x20"\x01abc"'],
    ids=["empty", "words", "kind", "bits", "digest"],
)
def test_unknown_packing_is_refused(packed: bytes) -> None:
    with pytest.raises(IntegrityError):
        unpack(packed)


def test_bomb_is_not_unpacked() -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflate.compress(bytes(LARGEST + 1)) + deflate.flush()
    with pytest.raises(IntegrityError, match="more than"):
        unpack(bytes([0x10 | CURRENT]) + bomb)


def test_released_vocabulary_never_changes() -> None:
    assert {number: digest_bytes(words) for number, words in VOCABULARIES.items()} == VOCABULARY_DIGESTS


# -- sealing ---------------------------------------------------------------------------------------------------


async def test_value_comes_back(converter: Callable[..., DataConverter]) -> None:
    one = converter("run-1")
    payload = await sealed(one, VoteInput(token="x.y.z"))
    assert (await one.decode([payload], [VoteInput])) == [VoteInput(token="x.y.z")]


async def test_sealed_payload_is_unreadable_and_short(converter: Callable[..., DataConverter]) -> None:
    payload = await sealed(converter("run-1"), SECRET)
    plain = (await pydantic_data_converter.encode([SECRET]))[0]
    assert SECRET.encode() not in payload.SerializeToString()
    assert dict(payload.metadata) == {"encoding": b"il1"}
    assert payload.ByteSize() - plain.ByteSize() <= 40


async def test_equal_values_are_sealed_differently(converter: Callable[..., DataConverter]) -> None:
    one, other = await converter("run-1").encode([SECRET, SECRET])
    assert one.data != other.data


async def test_payload_of_another_run_is_refused(converter: Callable[..., DataConverter]) -> None:
    payload = await sealed(converter("run-1"), SECRET)
    with pytest.raises(IntegrityError, match=r"of run 'run-1' came to run 'run-2'"):
        await opened(converter("run-2"), payload)


async def test_renamed_key_opens_nothing(converter: Callable[..., DataConverter]) -> None:
    """The payload of one run, with the id of the key of the run that it was moved to."""
    mine, other = await sealed(converter("run-1"), "mine"), await sealed(converter("run-2"), SECRET)
    forged = Payload(metadata=other.metadata, data=mine.data[:8] + other.data[8:])
    with pytest.raises(IntegrityError):
        await opened(converter("run-1"), forged)


async def test_any_flipped_bit_is_refused(converter: Callable[..., DataConverter]) -> None:
    one = converter("run-1")
    payload = await sealed(one, SECRET)
    for place in range(len(payload.data)):
        data = bytearray(payload.data)
        data[place] ^= 1
        with pytest.raises(IntegrityError):
            await opened(one, Payload(metadata=payload.metadata, data=bytes(data)))


@pytest.mark.parametrize("length", [0, 7, 8, 20, 36])
async def test_cut_payload_is_refused(converter: Callable[..., DataConverter], length: int) -> None:
    one = converter("run-1")
    payload = await sealed(one, SECRET)
    with pytest.raises(IntegrityError):
        await opened(one, Payload(metadata=payload.metadata, data=payload.data[:length]))


async def test_plain_payload_is_refused(converter: Callable[..., DataConverter]) -> None:
    (plain,) = await pydantic_data_converter.encode(["written by anybody"])
    with pytest.raises(IntegrityError, match="not encrypted"):
        await opened(converter("run-1"), plain)


async def test_refusal_cannot_be_forged_into_a_value(converter: Callable[..., DataConverter]) -> None:
    forged = Payload(metadata={"encoding": b"interlock/refused"}, data=b'"yes"')
    with pytest.raises(IntegrityError):
        await opened(converter("run-1"), forged)


async def test_nothing_is_sealed_for_no_run(converter: Callable[..., DataConverter]) -> None:
    with pytest.raises(Refused, match="belongs to no workflow"):
        await sealed(converter(), SECRET)


async def test_payload_of_a_run_is_nobodys(converter: Callable[..., DataConverter]) -> None:
    payload = await sealed(converter("run-1"), SECRET)
    with pytest.raises(IntegrityError, match="nobody's run"):
        await opened(converter(), payload)


async def test_erased_run_opens_no_more(converter: Callable[..., DataConverter], blobs: SqlBlobs) -> None:
    one = converter("run-1")
    payload = await sealed(one, SECRET)
    blobs.erase("run-1")
    with pytest.raises(Erased, match="erased"):
        await opened(one, payload)
    with pytest.raises(Erased):
        await sealed(one, SECRET)


async def test_missing_wrapping_key_is_no_verdict_on_a_payload(tmp_path: Path) -> None:
    """Keys that cannot be had now are not the payload's fault: whoever decodes tries again."""
    with closing(SqlBlobs(f"sqlite:///{tmp_path}/blobs.db", FileKeys(tmp_path / "none"))) as store:
        one = converter_of(Vault(lambda: store)).with_context(bound_to("run-1"))
        with pytest.raises(Unreachable, match="key"):
            await sealed(one, SECRET)


async def test_failure_is_sealed_whole(converter: Callable[..., DataConverter]) -> None:
    from temporalio.api.failure.v1 import Failure

    one, failure = converter("run-1"), Failure()
    error = ApplicationError(SECRET, f"detail: {SECRET}", type="Oops")
    error.__cause__ = ValueError(f"cause: {SECRET}")
    await one.encode_failure(error, failure)
    assert SECRET.encode() not in failure.SerializeToString()
    again = await one.decode_failure(failure)
    assert SECRET in str(again)
    assert SECRET in str(again.__cause__)


# -- whose payload it is ---------------------------------------------------------------------------------------


def test_activity_belongs_to_its_run() -> None:
    context = ActivitySerializationContext("default", "1", "x", "queue", "run-1", "agent_run", False)
    assert scope_of(context) == "run-1"
    assert scope_of(ActivitySerializationContext("default", "1", "x", "queue", None, None, False)) == ""
    assert scope_of(None) == ""


@pytest.mark.parametrize(
    ("workflow_id", "scope"),
    [
        ("run-1", "run-1"),
        ("schedule:nightly", "schedule:nightly"),
        ("schedule:nightly-2026-11-30T02:00:00Z", "schedule:nightly"),
        ("schedule:nightly-2", "schedule:nightly-2"),
        ("nightly-2026-11-30T02:00:00Z", "nightly-2026-11-30T02:00:00Z"),
    ],
)
def test_workflows_of_a_schedule_share_its_scope(workflow_id: str, scope: str) -> None:
    assert scope_of(bound_to(workflow_id)) == scope


# -- large payloads --------------------------------------------------------------------------------------------


def noise(size: int) -> str:
    """Text that does not compress to nothing."""
    import random

    return random.Random(size).randbytes(size // 2).hex()


async def test_large_payload_lies_elsewhere(
    converter: Callable[..., DataConverter], blobs: SqlBlobs, tmp_path: Path
) -> None:
    one, value = converter("run-1"), SECRET + noise(4_000_000)
    payload = await sealed(one, value)
    assert payload.ByteSize() < 500
    assert await opened(one, payload) == value
    blobs.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("blobs.db*"))
    assert len(stored) > 2_000_000
    assert SECRET.encode() not in stored


async def test_small_payload_stays(converter: Callable[..., DataConverter]) -> None:
    payload = await sealed(converter("run-1"), noise(THRESHOLD))
    assert payload.metadata["encoding"] == b"il1"


async def test_reference_moved_to_another_run_is_refused(converter: Callable[..., DataConverter]) -> None:
    payload = await sealed(converter("run-1"), noise(200_000))
    with pytest.raises(IntegrityError, match=r"of run 'run-1' came to run 'run-2'"):
        await opened(converter("run-2"), payload)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"d":"sha256:', '"d":"sha256:0'),
        ('"k":"', '"k":"00'),
        ('"k":"', '"k":"zz'),
        ('"k":"', '"r":"'),
        ('"d":', '"e":'),
    ],
    ids=["digest", "key", "no hex", "plain", "no digest"],
)
async def test_forged_reference_is_refused(converter: Callable[..., DataConverter], old: str, new: str) -> None:
    one = converter("run-1")
    payload = await sealed(one, noise(200_000))
    text = payload.data.decode().replace(" ", "")
    assert old in text
    forged = Payload(metadata=payload.metadata, data=text.replace(old, new).encode())
    with pytest.raises(IntegrityError):
        await opened(one, forged)


REFERENCE = b"temporal.api.sdk.v1.ExternalStorageReference"


@pytest.mark.parametrize(
    ("metadata", "data"),
    [
        ({"encoding": b"json/protobuf", "messageType": REFERENCE}, b'{"driverName": "s3"}'),
        ({"encoding": b"json/protobuf", "messageType": REFERENCE}, b'{"driverName": "il"}'),
        ({"encoding": b"json/protobuf", "messageType": REFERENCE}, b"nonsense"),
        ({"encoding": b"json/external-storage-reference"}, b"[]"),
        ({"encoding": b"json/external-storage-reference"}, b'{"driver_name": "il", "driver_claim": {}}'),
        ({"encoding": b"json/plain", "__temporal_external_storage_reference": b"true"}, b"1"),
        ({"encoding": b"il1", "__temporal_external_storage_reference": b"true"}, b"12345678"),
    ],
)
async def test_made_up_reference_fails_only_its_use(
    converter: Callable[..., DataConverter], metadata: dict[str, bytes], data: bytes
) -> None:
    """The codec's answer is a refusal, so that the message beside it can still be read."""
    one, good = converter("run-1"), await sealed(converter("run-1"), SECRET)
    payloads = Payloads(payloads=[Payload(metadata=metadata, data=data), good])
    await one._transform_inbound_payloads(payloads)
    refused, read = payloads.payloads
    assert one.payload_converter.from_payloads([read]) == [SECRET]
    with pytest.raises(IntegrityError):
        one.payload_converter.from_payloads([refused])


async def test_absurd_value_names_itself(converter: Callable[..., DataConverter]) -> None:
    value = {"small": 1, "report": "x" * (LARGEST + 1)}
    with pytest.raises(ApplicationError, match=r"dict, most of it in 'report'.*the limit is 64000000") as error:
        await sealed(converter("run-1"), value)
    assert error.value.non_retryable


# -- without encryption ----------------------------------------------------------------------------------------


async def test_plain_setting_writes_plain_and_reads_both(converter: Callable[..., DataConverter]) -> None:
    plain = converter("run-1", encrypted=False)
    payload = await sealed(plain, SECRET)
    assert SECRET.encode() in payload.data
    assert await opened(plain, payload) == SECRET
    assert await opened(plain, await sealed(converter("run-1"), SECRET)) == SECRET
    large = await sealed(plain, noise(200_000))
    assert large.ByteSize() < 500
    assert await opened(plain, large) == noise(200_000)
    with pytest.raises(IntegrityError):
        await opened(plain, await sealed(converter("run-2"), SECRET))


async def test_servers_note_of_a_cancellation_is_dropped(converter: Callable[..., DataConverter]) -> None:
    """The server cancels an activity that has not started by itself, and says so in the clear."""
    from temporalio.api.failure.v1 import Failure

    failure = Failure(message="cancelled")
    note = failure.canceled_failure_info.details.payloads.add()
    note.metadata["encoding"], note.data = b"json/plain", b'"ACTIVITY_ID_NOT_STARTED"'
    outer = Failure(message="activity")
    outer.activity_failure_info.activity_id = "1"
    outer.cause.CopyFrom(failure)
    found = await converter("run-1").decode_failure(outer)
    assert isinstance(found.__cause__, CancelledError)
    assert found.__cause__.details == ()
