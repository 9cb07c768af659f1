"""The protocol between host and runner: frames of a JSON head and raw bytes, over the container's stdin and stdout.

A frame is two big-endian 32-bit lengths, then a UTF-8 JSON object, then a body. Both sides use this module;
the host reads through its own capped reader, because what a container sends is hostile.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

LENGTHS = struct.Struct(">II")
MAX_HEAD = 64 * 1024
MAX_BODY = 16 * 1024 * 1024
"""Largest body towards the runner: a tool's source or its arguments."""
PIECE = 256 * 1024
"""Largest body towards the host; longer content travels in pieces."""
VERSION = 2


class Frame(NamedTuple):
    """One message."""

    head: dict[str, Any]
    body: bytes


class FrameError(Exception):
    """The other side does not speak the protocol, or has gone."""


def pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    """The bytes of one frame."""
    text = json.dumps(head, separators=(",", ":")).encode()
    if len(text) > MAX_HEAD or len(body) > MAX_BODY:
        raise FrameError(f"a frame of {len(text)} and {len(body)} bytes is over the limit")
    return LENGTHS.pack(len(text), len(body)) + text + body


def read(receive: Callable[[int], bytes], *, max_body: int = MAX_BODY) -> Frame:
    """Read one frame.

    Args:
        receive: returns exactly that many bytes, or raises.
        max_body: refuse a longer body before reading it.

    Raises:
        FrameError: a length over its limit, or a head that is no JSON object with a `kind`.
    """
    head_length, body_length = LENGTHS.unpack(receive(LENGTHS.size))
    if head_length > MAX_HEAD or body_length > max_body:
        raise FrameError(f"announces {head_length} and {body_length} bytes; the limits are {MAX_HEAD}, {max_body}")
    try:
        head = json.loads(receive(head_length))
    except (ValueError, RecursionError) as error:
        raise FrameError(f"a head that is not JSON: {error}") from error
    if not isinstance(head, dict) or not isinstance(head.get("kind"), str):
        raise FrameError("a head without a kind")
    return Frame(head, receive(body_length))


def pieces(body: bytes) -> list[tuple[bytes, bool]]:
    """`body` cut to `PIECE`; each with whether more follows. Empty content is one empty piece."""
    cuts = range(0, max(len(body), 1), PIECE)
    return [(body[at : at + PIECE], at + PIECE < len(body)) for at in cuts]
