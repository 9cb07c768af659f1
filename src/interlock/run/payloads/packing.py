"""A payload's bytes before they are sealed: one byte that says how, then its data, made short.

In JSON a digest of 71 characters becomes 33 bytes: for the most part a history is digests. Then raw deflate with a
dictionary of our own field names (`vocabulary.py`): payloads are small, and without one it finds nothing to repeat.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

from temporalio.api.common.v1 import Payload

from interlock.errors import IntegrityError
from interlock.run.payloads.vocabulary import CURRENT, DIGEST_MARK, VOCABULARIES

LARGEST: Final = 64_000_000
"""Bytes of one payload. More is a mistake of whoever made it; also what is unpacked at most."""
_WHOLE: Final = 0
_JSON: Final = 1
_JSON_DIGESTS: Final = 2
_ENCODINGS: Final = {_JSON: b"json/plain", 3: b"binary/null", 4: b"binary/plain"}
"""Encodings that stand for themselves; any other payload is packed whole, with its metadata."""
_STORED: Final = 0
_LARGE: Final = 1_000_000
"""From here on speed counts more than the last byte."""
_DIGEST: Final = re.compile(rb"sha256:([0-9a-f]{64})")
_DIGEST_BYTES: Final = 32


def pack(payload: Payload) -> bytes:
    """The bytes of a payload; `unpack` gives it back."""
    kind, data = _parted(payload)
    deflate = zlib.compressobj(1 if len(data) > _LARGE else 9, zlib.DEFLATED, -15, zdict=VOCABULARIES[CURRENT])
    small = deflate.compress(data) + deflate.flush()
    if len(small) < len(data):
        return bytes([kind << 4 | CURRENT]) + small
    return bytes([kind << 4 | _STORED]) + data


def unpack(packed: bytes) -> Payload:
    """The payload that was packed.

    Raises:
        IntegrityError: a newer version packed it, or it is too large.
    """
    if not packed:
        raise IntegrityError("an empty payload was sealed")
    kind, vocabulary = packed[0] >> 4, packed[0] & 15
    data = packed[1:] if vocabulary == _STORED else _inflated(packed[1:], vocabulary)
    if kind == _WHOLE:
        return Payload.FromString(data)
    if kind == _JSON_DIGESTS:
        kind, data = _JSON, _with_digests(data)
    if kind not in _ENCODINGS:
        raise IntegrityError(f"payload of kind {kind}: this version does not know it", next_step="update interlock")
    return Payload(metadata={"encoding": _ENCODINGS[kind]}, data=data)


def _parted(payload: Payload) -> tuple[int, bytes]:
    """What kind of payload it is, and the bytes that are left to say."""
    encoding = payload.metadata.get("encoding", b"") if len(payload.metadata) == 1 else b""
    kind = next((kind for kind, known in _ENCODINGS.items() if known == encoding), _WHOLE)
    if kind == _WHOLE or payload.external_payloads:
        return _WHOLE, payload.SerializeToString(deterministic=True)
    if kind == _JSON and DIGEST_MARK not in payload.data:
        short, found = _DIGEST.subn(lambda digest: DIGEST_MARK + bytes.fromhex(digest[1].decode()), payload.data)
        return (_JSON_DIGESTS, short) if found else (_JSON, payload.data)
    return kind, payload.data


def _with_digests(short: bytes) -> bytes:
    """The JSON again. A digest's own bytes may hold the mark, so that they are skipped and not searched."""
    parts, at = [], 0
    while (mark := short.find(DIGEST_MARK, at)) >= 0:
        end = mark + 1 + _DIGEST_BYTES
        if end > len(short):
            raise IntegrityError("a payload was sealed that ends within a digest")
        parts += [short[at:mark], b"sha256:", short[mark + 1 : end].hex().encode()]
        at = end
    return b"".join([*parts, short[at:]])


def _inflated(data: bytes, vocabulary: int) -> bytes:
    if vocabulary not in VOCABULARIES:
        raise IntegrityError(
            f"payload with vocabulary {vocabulary}: this version does not know it", next_step="update interlock"
        )
    inflate = zlib.decompressobj(-15, zdict=VOCABULARIES[vocabulary])
    try:
        plain = inflate.decompress(data, LARGEST)
    except zlib.error as error:
        raise IntegrityError(f"a payload was sealed that does not unpack: {error}") from error
    if inflate.unconsumed_tail or not inflate.eof:
        raise IntegrityError(f"a payload of more than {LARGEST} bytes was sealed, or half of one")
    return plain
