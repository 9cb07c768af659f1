"""A payload's bytes before they are sealed: one byte that says how, then its data, compressed where that helps.

Compression is raw deflate with a dictionary of our own field names (`vocabulary.py`): most payloads are small, and
without one deflate finds nothing to repeat in them. Digests, of which most of them consist, are written as bytes.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

from temporalio.api.common.v1 import Payload

from interlock.errors import IntegrityError
from interlock.run.payloads.vocabulary import CURRENT, VOCABULARIES

LARGEST: Final = 64_000_000
"""Bytes of one payload. More is a mistake of whoever made it; also what is unpacked at most."""
_WHOLE: Final = 0
_ENCODINGS: Final = {1: b"json/plain", 2: b"binary/null", 3: b"binary/plain", 4: b"json/plain"}
"""Encodings that stand for themselves; any other payload is packed whole, with its metadata."""
_DIGESTS: Final = 4
"""JSON in which each digest is NUL and its 32 bytes. JSON itself has no NUL."""
_DIGEST: Final = re.compile(rb"sha256:([0-9a-f]{64})")
_WRITTEN: Final = re.compile(rb"\0(.{32})", re.DOTALL)
_STORED: Final = 0
_LARGE: Final = 1_000_000
"""From here on speed counts more than the last byte."""


def pack(payload: Payload) -> bytes:
    """The bytes of a payload; `unpack` gives it back."""
    kind = _kind(payload)
    data = payload.SerializeToString(deterministic=True) if kind == _WHOLE else payload.data
    if kind == 1 and b"\0" not in data:
        kind, data = _DIGESTS, _DIGEST.sub(lambda found: b"\0" + bytes.fromhex(found[1].decode()), data)
    deflate = zlib.compressobj(1 if len(data) > _LARGE else 9, zlib.DEFLATED, -15, 9, zdict=VOCABULARIES[CURRENT])
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
    if kind not in _ENCODINGS:
        raise IntegrityError(f"payload of kind {kind}: this version does not know it", next_step="update interlock")
    if kind == _DIGESTS:
        data = _WRITTEN.sub(lambda found: b"sha256:" + found[1].hex().encode(), data)
    return Payload(metadata={"encoding": _ENCODINGS[kind]}, data=data)


def _kind(payload: Payload) -> int:
    if len(payload.metadata) != 1 or payload.external_payloads:
        return _WHOLE
    encoding = payload.metadata.get("encoding", b"")
    return next((kind for kind, known in _ENCODINGS.items() if known == encoding), _WHOLE)


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
